"""advise as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import forks
import psycopg
import pytest


@pytest.fixture
def items(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table items (id bigint primary key, owner int not null, note text)")
        owner.execute("insert into items select i, i % 5000, md5(i::text) from generate_series(1, 50000) i")
        owner.execute("vacuum analyze items")
    return database


def test_the_advice_is_applied_by_its_playbook_and_then_nothing_is_left_to_advise(items: str, tmp_path: Path) -> None:
    sql = "select * from items where owner = 7"
    done = forks.run(
        ["advise", "--postgres", items, "--sql", sql, "--write", "advice.yml", "--format", "json"], cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "dbtune.advise/1"
    assert {"dbtune", "target", "started_at", "duration_s", "drops", "not_examined"} <= set(document)
    (one,) = document["recommendations"]
    assert (one["table"], one["method"], one["unique"], one["where"]) == ("public.items", "btree", False, None)
    assert one["columns"] == [{"name": "owner", "order": "asc"}]
    assert one["confidence"] == "simulated"
    (served,) = one["queries"]
    assert served["cost_after"] < served["cost_before"]
    assert one["ddl"].startswith("create index concurrently")
    assert "next: dbtune plan" in done.stderr
    assert forks.run(["validate", "advice.yml"], cwd=tmp_path).returncode == 0
    planned = forks.run(["plan", "advice.yml", "--postgres", items, "--exit-code"], cwd=tmp_path)
    assert planned.returncode == 6, planned.stdout + planned.stderr
    assert "concurrently" in planned.stdout.lower()
    applied = forks.run(["apply", "advice.yml", "--yes", "--postgres", items], cwd=tmp_path)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    again = forks.run(["advise", "--postgres", items, "--sql", sql])
    assert "No index would help" in again.stdout


@pytest.fixture
def parted(database: str) -> str:
    """A table in two levels of partitions, with names that need quotes; one of them is indexed already."""
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute('create table "Events" (id bigint, owner int not null) partition by range (id)')
        owner.execute('create table "Ev 1" partition of "Events" for values from (0) to (50000)')
        owner.execute(
            'create table ev2 partition of "Events" for values from (50000) to (90000) partition by hash (id)'
        )
        for rest in (0, 1):
            owner.execute(
                f"create table ev2_{rest} partition of ev2 for values with (modulus 2, remainder {rest})".encode()
            )
        owner.execute('insert into "Events" select i, i % 5000 from generate_series(1, 89999) i')
        owner.execute(MINE)
        owner.execute("vacuum analyze")
    return database


MINE = 'create index "Mine" on ev2_0 using btree (owner)'


def test_a_partitioned_table_is_indexed_part_by_part_and_as_a_whole(parted: str, tmp_path: Path) -> None:
    asked = ["advise", "--postgres", parted, "--sql", 'select * from "Events" where owner = 7', "--format", "json"]
    done = forks.run([*asked, "--write", "advice.yml"], cwd=tmp_path)
    (one,) = json.loads(done.stdout)["recommendations"]
    name = one["name"].replace('"', '""')
    with psycopg.connect(parted, autocommit=True) as owner:
        for _ in range(2):
            for statement in one["ddl"].split(";\n"):
                owner.execute(statement.encode())
            valid = owner.execute("select count(*) from pg_index where indisvalid and indrelid >= 16384").fetchone()
            assert valid == (3 + 2,)
            owner.execute(f'drop index "{name}"'.encode())
            owner.execute(MINE)
    for command in ("plan", "apply", "apply", "verify"):
        more = ["--yes"] if command == "apply" else []
        done = forks.run([command, "advice.yml", "--postgres", parted, *more], cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(forks.run(asked).stdout)["recommendations"] == []
    history = json.loads(forks.run(["history", "--postgres", parted, "--format", "json"]).stdout)
    (run,) = (run["run_id"] for run in history["runs"] if run["status"] == "applied")
    done = forks.run(["rollback", run, "--postgres", parted, "--yes"], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(parted) as owner:
        left = owner.execute(
            "select c.oid::regclass::text, indisvalid from pg_index join pg_class c on c.oid = indexrelid"
            " where indrelid >= 16384 and relnamespace = 'public'::regnamespace"
        )
        assert left.fetchall() == [('"Mine"', True)], "what was there before stays"


def test_mistakes_are_exit_2_with_a_hint(items: str, tmp_path: Path) -> None:
    for arguments, said in (
        (["--measure"], "--disposable"),
        (["--budget", "much"], "--budget 500MB"),
        (["--max-time", "0s"], "--max-time"),
        (["--queries", "nowhere.sql"], "cannot be read"),
        (["--from", "nowhere.twin"], "twin dump"),
        (["--sql", "select 1 from nowhere"], "nowhere"),
        (["--format", "junit"], "no junit form"),
        (["--sql", "select 1", "--write", "."], "--write . is a directory"),
        (["--sql", "select 1", "--write", "nowhere/advice.yml"], "--write nowhere/advice.yml lies in a directory"),
        (["--sql", "select 1", "--window", "5s"], "--window"),
    ):
        done = forks.run(["advise", "--postgres", items, *arguments], cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), (arguments, done.stderr)
        assert said in done.stderr


def test_a_workload_that_is_not_known_is_told_with_the_remedy(items: str) -> None:
    done = forks.run(["advise", "--postgres", items])
    assert done.returncode == 3
    assert "pg_stat_statements" in done.stderr
    assert "--queries" in done.stderr


def test_a_damaged_dump_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bad.twin").write_text('{"schema": "something else"}')
    done = forks.run(["advise", "--from", "bad.twin"], cwd=tmp_path)
    assert done.returncode == 2
    assert "bad.twin" in done.stderr
    assert "Traceback" not in done.stderr
