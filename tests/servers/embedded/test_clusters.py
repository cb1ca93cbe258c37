"""A cluster that is kept spares initdb, and nothing depends on it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.binaries import CACHE_VARIABLE, postgres_version, wheel_postgres
from dbtune.servers.embedded.clusters import is_whole, kept_cluster
from dbtune.servers.embedded.postgres import embedded_postgres


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, short_directory: Path) -> Iterator[Path]:
    """Where a cluster will be kept; in a directory that everybody may pass, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="dbtune-test-", dir=short_directory) as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv(CACHE_VARIABLE, name)
        programs = wheel_postgres(server_account())
        yield kept_cluster(programs, postgres_version(programs).text, ())


def start(seen: str = "PG_VERSION") -> bool:
    """Starts a server; whether its data directory has that file."""
    with embedded_postgres({"fsync": "off"}, from_kept=True) as server:
        with psycopg.connect(server.dsn) as session:
            assert session.execute("select 1").fetchone() == (1,)
        assert not (server.directory / "fresh").exists()
        return (server.directory / "data" / seen).exists()


def test_the_second_start_copies_what_the_first_has_kept_and_damage_is_made_good(kept: Path) -> None:
    assert not kept.exists()
    start()
    assert is_whole(kept)
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    for path in (kept.parent, kept, *kept.rglob("*")):
        assert path.stat().st_uid == os.geteuid()
        assert not stat.S_IMODE(path.stat().st_mode) & 0o022, "only its owner may write there"
    (kept / "cluster" / "mark").touch()
    (kept / "files").write_text(str(int((kept / "files").read_text()) + 1))
    assert start("mark"), "it was copied"
    (kept / "cluster" / "PG_VERSION").unlink()
    assert not start("mark"), "a file is missing, so initdb made another"
    assert is_whole(kept)


def test_without_a_place_to_keep_it_a_server_starts_all_the_same(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "/proc/nowhere")
    start()
    assert not kept.exists()


def test_a_server_with_a_password_is_made_by_initdb(kept: Path) -> None:
    with embedded_postgres({"fsync": "off"}, from_kept=True, tcp=True):
        assert not kept.exists()
