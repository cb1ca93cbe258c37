from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dbtune.app.streams import is_stream
from dbtune.cli.options import parse_tags, parse_vars
from dbtune.cli.output import Destination, choose
from dbtune.core.errors import Misused
from dbtune.core.formats import OutputFormat

SUPPORTED: tuple[OutputFormat, ...] = ("terminal", "json", "html")


@pytest.mark.parametrize(
    ("given", "name", "chosen"),
    [
        (None, None, "terminal"),
        ("json", None, "json"),
        (None, "r.html", "html"),
        (None, "r.JSON", "json"),
        (None, "r.txt", "terminal"),
        ("terminal", "r.html", "terminal"),
    ],
)
def test_the_form_is_the_one_asked_for_or_the_one_that_the_file_s_name_says(
    given: OutputFormat | None, name: str | None, chosen: str, tmp_path: Path
) -> None:
    assert choose(given, tmp_path / name if name else None, SUPPORTED).format == chosen


def test_a_form_that_the_command_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(Misused, match="no junit form") as raised:
        choose("junit", None, SUPPORTED)
    assert "html, json, terminal" in str(raised.value.hint)


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(Misused, match="does not exist"):
        choose(None, tmp_path / "none" / "r.json", SUPPORTED)
    with pytest.raises(Misused, match="is a directory"):
        choose(None, tmp_path, SUPPORTED)


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "r.json"
    place.write_text("old")
    Destination("json", place).deliver('{"ä": 1}\n\n')
    assert place.read_text(encoding="utf-8") == '{"ä": 1}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    place = tmp_path / "r.json"
    place.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        Destination("json", place).deliver("\ud800")
    assert place.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_pipe_may_be_the_file() -> None:
    reading, writing = os.pipe()
    Destination("json", Path(f"/dev/fd/{writing}")).deliver("{}")
    os.close(writing)
    with os.fdopen(reading) as end:
        assert end.read() == "{}\n"


def test_a_file_that_is_open_already_keeps_what_was_written_to_it(tmp_path: Path) -> None:
    place = tmp_path / "r.json"
    with place.open("w") as file:
        print("before", file=file, flush=True)
        Destination("json", Path(f"/dev/fd/{file.fileno()}")).deliver("{}")
    assert place.read_text() == "before\n{}\n"
    assert is_stream(Path("/dev/stdout"))
    assert not is_stream(place)


def test_of_a_link_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    place, link = tmp_path / "there.json", tmp_path / "link.json"
    place.write_text("old")
    link.symlink_to(place)
    Destination("json", link).deliver("{}")
    assert link.is_symlink()
    assert place.read_text() == "{}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "there.json"]


def test_a_terminal_that_knows_no_unicode_still_gets_its_result() -> None:
    code = "from dbtune.cli.output import Destination; Destination('terminal').deliver('3µs ×5')"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert shown.stdout == b"3?s ?5\n"


def test_a_pipe_gets_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Destination("terminal").screen().colour
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Destination("terminal").screen().colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Destination("terminal").screen().colour


def test_variables_are_pairs() -> None:
    assert parse_vars(["top=10", "url=a=b", "empty="]) == {"top": "10", "url": "a=b", "empty": ""}
    with pytest.raises(Misused, match="NAME=VALUE"):
        parse_vars(["top"])


def test_tags_are_repeated_or_separated_by_commas() -> None:
    assert parse_tags(["a,b", " c"]) == ("a", "b", "c")
    assert parse_tags(None) == ()
