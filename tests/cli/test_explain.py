"""`dbtune explain` as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import forks
import psycopg
import pytest

PLAN = """
                       QUERY PLAN
---------------------------------------------------------
 Seq Scan on items  (cost=0.00..1.00 rows=50 width=4) (actual time=0.010..20.000 rows=50 loops=1)
   Filter: (owner = 7)
   Rows Removed by Filter: 49950
   Buffers: shared hit=271
 Planning Time: 0.100 ms
 Execution Time: 20.100 ms
(6 rows)
"""


def dbtune(*arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return forks.run(["explain", *arguments], input=stdin, cwd=cwd, env=environment)


@pytest.fixture
def items(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table items (id int primary key, owner int)")
        owner.execute("insert into items select i, i % 100 from generate_series(1, 20000) i")
        owner.execute("analyze items")
    return database


def test_a_saved_plan_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text(PLAN)
    for arguments, stdin in ((("--plan", "plan.txt"), ""), (("--plan", "-"), PLAN)):
        done = dbtune(*arguments, stdin=stdin, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "PL019" in done.stdout
        assert "create index concurrently" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_machine_readable_form_keeps_its_contract(items: str) -> None:
    done = dbtune(
        "select * from items where owner = $1", "--param", "7", "--analyze", "--postgres", items, "--format", "json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == "dbtune.explain/1"
    assert {"dbtune", "target", "started_at", "duration_s"} <= set(document)
    assert document["plan"]["Plan"]["Node Type"] == "Seq Scan"
    assert document["insights"]
    for insight in document["insights"]:
        assert {"code", "node", "value", "threshold", "message", "action"} <= set(insight)


def test_a_statement_comes_from_a_file_or_from_standard_input(items: str, tmp_path: Path) -> None:
    statement = "-- mine\nselect count(*) from items; -- the end"
    (tmp_path / "query.sql").write_text(statement)
    for file, stdin in (("query.sql", ""), ("-", statement)):
        done = dbtune("--file", file, "--postgres", items, stdin=stdin, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Aggregate" in done.stdout


def test_a_page_is_written_whole(items: str, tmp_path: Path) -> None:
    done = dbtune("select 1", "--postgres", items, "--output", "plan.html", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "plan.html").read_text().startswith("<!doctype html>")


def test_what_cannot_be_is_exit_2_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text(PLAN)
    (tmp_path / "broken.json").write_text('[{"Plan": {"Node Type": ')
    (tmp_path / "binary").write_bytes(b"\x80\x81\xff")
    for arguments in (
        (),
        ("select 1", "--plan", "plan.txt"),
        ("--plan", "plan.txt", "--analyze"),
        ("--plan", "missing.txt"),
        ("--plan", "broken.json"),
        ("--plan", "binary"),
        ("--plan", "."),
        ("--file", "missing.sql"),
        ("--queryid", "abc"),
        ("--queryid", str(1 << 70)),
        ("select 1", "--timeout", "soon"),
        ("select 1", "--format", "junit"),
        ("select 1; select 2",),
    ):
        done = dbtune(*arguments, "--postgres", "postgresql:///nowhere", cwd=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert "hint:" in done.stderr


def test_an_unreachable_server_is_exit_3_without_its_password() -> None:
    done = dbtune("select 1", "--postgres", "postgresql://u:hidden@localhost:1/x")
    assert done.returncode == 3
    assert "hidden" not in done.stderr


def test_nothing_is_executed_that_was_not_allowed(items: str) -> None:
    done = dbtune("delete from items", "--analyze", "--postgres", items)
    assert done.returncode == 2
    assert "--allow-writes" in done.stderr
