"""`dbtune twin dump` as a person types it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import forks
import psycopg
import pytest

from dbtune.app.twin import read_dump


def dbtune(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return forks.run(["twin", "dump", *arguments], env=environment)


@pytest.fixture
def items(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table items (id int primary key, owner text)")
        owner.execute("insert into items select i, 'private' || i % 10 from generate_series(1, 5000) i")
        owner.execute("create table others (id int)")
        owner.execute("analyze items")
    return database


def test_a_dump_is_written_for_its_owner_alone_and_says_what_it_holds(items: str, tmp_path: Path) -> None:
    path = tmp_path / "app.twin"
    done = dbtune(str(path), "--postgres", items, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report)[:5] == ["schema", "dbtune", "target", "started_at", "duration_s"]
    assert (report["tables"], report["rows"], report["values"]) == (2, False, True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    source = read_dump(path)
    assert source.by_name["public", "items"].rows == 5000
    assert "private1" in path.read_text()


def test_without_values_none_is_in_the_file(items: str, tmp_path: Path) -> None:
    path = tmp_path / "app.twin"
    done = dbtune(str(path), "--postgres", items, "--no-values")
    assert done.returncode == 0, done.stderr
    assert "private" not in path.read_text()
    assert "without sample values" in done.stdout
    assert "skew" in done.stdout


def test_only_the_named_table_is_in_a_compressed_file(items: str, tmp_path: Path) -> None:
    path = tmp_path / "app.twin.gz"
    assert dbtune(str(path), "--postgres", items, "--table", "items").returncode == 0
    assert path.read_bytes().startswith(b"\x1f\x8b")
    assert [table.name for table in read_dump(path).tables] == ["items"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--table", "nothing"], 2, "no table nothing"),
        (["--table", "items", "--touched"], 2, "exclude each other"),
        (["--format", "html"], 2, "no html form"),
    ],
)
def test_what_makes_no_sense_leaves_no_file(
    options: list[str], code: int, said: str, items: str, tmp_path: Path
) -> None:
    path = tmp_path / "app.twin"
    done = dbtune(str(path), "--postgres", items, *options)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_none_and_a_server_that_is_none_are_told_apart(items: str, tmp_path: Path) -> None:
    assert dbtune(str(tmp_path / "no" / "app.twin"), "--postgres", items).returncode == 2
    assert dbtune(str(tmp_path), "--postgres", items).returncode == 2
    nowhere = dbtune(str(tmp_path / "app.twin"), "--postgres", f"host={tmp_path} dbname=app")
    assert nowhere.returncode == 3


def test_a_dump_that_somebody_cut_is_one_clear_error(items: str, tmp_path: Path) -> None:
    from dbtune.core.errors import Misused

    path = tmp_path / "app.twin"
    assert dbtune(str(path), "--postgres", items).returncode == 0
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Misused, match="not a complete dump"):
        read_dump(path)
    with pytest.raises(Misused, match="cannot be read"):
        read_dump(tmp_path / "missing")


def test_the_workload_can_choose_the_tables(items: str, tmp_path: Path) -> None:
    with psycopg.connect(items, autocommit=True) as owner:
        loaded = owner.execute("select setting ~ 'pg_stat_statements' from pg_settings"
                               " where name = 'shared_preload_libraries'").fetchone()  # fmt: skip
        if loaded is None or not loaded[0]:
            pytest.skip("the server at hand has not loaded pg_stat_statements")
        owner.execute("create extension pg_stat_statements")
        owner.execute("select count(*) from items where owner = 'x'")
    path = tmp_path / "app.twin"
    done = dbtune(str(path), "--postgres", items, "--touched")
    assert done.returncode == 0, done.stderr
    source = read_dump(path)
    assert "others" not in [table.name for table in source.tables]
    assert any("from items where owner = $1" in one.query for one in source.statements)
