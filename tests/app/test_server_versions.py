"""What only newer servers can do, and what older ones do all the same: on whichever server is at hand."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.plan import make_plan
from dbtune.app.rollback import roll_back
from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.verify import verify_playbook
from dbtune.app.workspace import Workspace, opened
from dbtune.core.progress import silent
from dbtune.core.reports import StepReport
from dbtune.playbook.model import Playbook, PlaybookStep, Position
from dbtune.steps.step import kinds

TABLES = """
create table items (id bigint primary key, owner int, code text);
insert into items select i, i % 500, case when i % 2 = 0 then i::text end from generate_series(1, 20000) i;
create index by_owner on items (owner);
analyze items;
create table unseen (id int);
"""


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(TABLES)
        yield owner


@pytest.fixture
def workspace(owner: psycopg.Connection, database: str) -> Iterator[Workspace]:
    with opened(OpenTargets(database, None)) as workspace:
        yield workspace


@pytest.fixture
def role(owner: psycopg.Connection) -> Iterator[str]:
    """A role without any right of its own."""
    name = f"dbtune_test_{secrets.token_hex(6)}"
    owner.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield name
    owner.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
    owner.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def acting_as(role: str, dsn: str) -> OpenTargets:
    return OpenTargets(conninfo.make_conninfo(dsn, options=f"-c role={role}"), None)


def playbook(kind: str, **written: object) -> Playbook:
    step = kinds()[kind].model_validate(written)
    return Playbook(
        "test.yml", "test", "hash", (PlaybookStep("s0", "it", kind, step, Position(1, 1), step.fingerprint()),)
    )


def planned(workspace: Workspace, book: Playbook) -> StepReport:
    return make_plan(workspace, book, Selection()).steps[0]


@pytest.mark.pg("< 15")
def test_nulls_not_distinct_is_blocked_where_the_server_does_not_know_it(workspace: Workspace) -> None:
    book = playbook("index", table="items", columns=["code", "id"], unique=True, nulls="not distinct")
    step = planned(workspace, book)
    assert (step.status, step.error) == ("blocked", "NULLS NOT DISTINCT needs PostgreSQL 15")
    assert apply_playbook(workspace, Order(book), silent).steps[0].status == "failed"


@pytest.mark.pg(">= 15")
def test_nulls_not_distinct_is_built_and_told_apart_from_its_opposite(workspace: Workspace) -> None:
    book = playbook("index", table="items", columns=["code", "id"], unique=True, nulls="not distinct")
    report = apply_playbook(workspace, Order(book), silent)
    assert report.steps[0].status == "applied", report.steps[0].error
    assert planned(workspace, book).status == "in_sync"
    opposite = playbook("index", table="items", columns=["code", "id"], unique=True, name="other")
    assert planned(workspace, opposite).status == "change"
    twice = playbook("index", table="items", columns=["code"], unique=True, nulls="not distinct", name="third")
    failed = apply_playbook(workspace, Order(twice), silent).steps[0]
    assert "(10000 times)" in str(failed.error), "nulls count as equal, and are looked for before the build"


@pytest.mark.parametrize(
    ("expected", "outcome"), [("by_owner", "ok"), ("items_pkey", "failed")], ids=["met", "not met"]
)
def test_a_plan_is_judged_without_values_for_its_parameters(workspace: Workspace, expected: str, outcome: str) -> None:
    """Below 16 through PREPARE and EXPLAIN EXECUTE, since then through GENERIC_PLAN."""
    book = playbook("explain", sql="select * from items where owner = $1", expect={"uses_index": expected})
    assert verify_playbook(workspace, book, Selection(), silent).steps[0].status == outcome


def test_a_role_that_may_not_create_a_schema_keeps_its_journal_in_a_file(
    owner: psycopg.Connection, database: str, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    owner.execute(sql.SQL("alter table items owner to {}").format(sql.Identifier(role)))
    owner.execute(sql.SQL("grant create on schema public to {}").format(sql.Identifier(role)))
    book = playbook("index", table="items", columns=["code"])
    with opened(acting_as(role, database)) as workspace:
        report = apply_playbook(workspace, Order(book), silent)
        assert report.steps[0].status == "applied", report.steps[0].error
        assert [path.suffix for path in tmp_path.rglob("*.jsonl")] == [".jsonl"]
        assert planned(workspace, book).status == "in_sync"
        assert report.run_id is not None
        assert roll_back(workspace, report.run_id, silent).steps[0].status == "reverted"
    assert owner.execute("select to_regnamespace('dbtune')").fetchone() == (None,)


@pytest.mark.pg(">= 15")
def test_a_right_on_one_parameter_is_enough_to_set_it(owner: psycopg.Connection, database: str, role: str) -> None:
    book = playbook("setting", name="log_min_duration_statement", value="1s", scope="system")
    with opened(acting_as(role, database)) as workspace:
        assert planned(workspace, book).status == "blocked"
        owner.execute(
            sql.SQL("grant alter system on parameter log_min_duration_statement to {}").format(sql.Identifier(role))
        )
        try:
            step = planned(workspace, book)
            assert step.status == "change", step.error
        finally:
            owner.execute(
                sql.SQL("revoke alter system on parameter log_min_duration_statement from {}").format(
                    sql.Identifier(role)
                )
            )


@pytest.mark.pg(">= 17")
def test_the_right_to_maintain_a_table_is_enough_to_analyze_it(
    owner: psycopg.Connection, database: str, role: str
) -> None:
    with opened(acting_as(role, database)) as workspace:
        assert planned(workspace, playbook("analyze", tables="unseen")).status == "blocked"
        owner.execute(sql.SQL("grant maintain on unseen to {}").format(sql.Identifier(role)))
        assert planned(workspace, playbook("analyze", tables="unseen")).status == "change"


def test_the_owner_of_the_database_may_analyze_everybodys_tables(
    owner: psycopg.Connection, database: str, role: str
) -> None:
    book = playbook("analyze", tables="unseen")
    with opened(acting_as(role, database)) as workspace:
        assert planned(workspace, book).status == "blocked"
        owner.execute(
            sql.SQL("alter database {} owner to {}").format(sql.Identifier(owner.info.dbname), sql.Identifier(role))
        )
        try:
            assert apply_playbook(workspace, Order(book), silent).steps[0].status == "applied"
        finally:
            owner.execute(sql.SQL("alter database {} owner to current_user").format(sql.Identifier(owner.info.dbname)))
