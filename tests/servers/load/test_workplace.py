"""Where the log of a load lies."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from dbtune.core.errors import Unsupported
from dbtune.servers.load import workplace


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_it_lies_in_memory_where_there_is_room_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "_LEAST_FREE_BYTES", 0)
    with workplace.private_directory(tmp_path) as place:
        (place / "log.1").write_text("x")
        assert (place.parent, place.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert not place.exists()


def test_little_memory_or_none_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "_LEAST_FREE_BYTES", 1 << 60)
    for memory in (tmp_path, tmp_path / "none"):
        with workplace.private_directory(memory) as place:
            assert place.parent == Path(tempfile.gettempdir())


def test_a_named_directory_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("TMPDIR", str(named))
    with workplace.private_directory(tmp_path) as place:
        assert place.parent == named


def test_a_directory_that_cannot_be_written_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    monkeypatch.setattr(tempfile, "tempdir", str(gone))
    with pytest.raises(Unsupported, match="gone"), workplace.private_directory(tmp_path / "none"):
        pass
