"""The steps that findings offer are steps: `plan` takes them, `apply` carries them out, and then nothing is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from patience import until, until_so

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.audit import Wish, audit
from dbtune.app.plan import make_plan
from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import Workspace, opened
from dbtune.core.findings import AuditReport
from dbtune.core.progress import silent
from dbtune.playbook.load import load
from dbtune.playbook.model import Playbook

FLAWED = """
create schema "Sch.em""a";
create table "Sch.em""a"."select" ("order" bigint primary key) with (autovacuum_enabled = off);
create table "Sch.em""a"."Größe 😀 [1]" (
    id bigint primary key,
    "user" bigint references "Sch.em""a"."select",
    "a desc" bigint references "Sch.em""a"."select",
    "lower(a)" bigint references "Sch.em""a"."select",
    "x"" collate ""C" bigint references "Sch.em""a"."select",
    "{ {id} }" bigint references "Sch.em""a"."select",
    active boolean
) with (autovacuum_enabled = off);
create index "Größe 😀 [1]_user_idx" on "Sch.em""a"."Größe 😀 [1]" ("user") where active;
insert into "Sch.em""a"."select" select generate_series(1, 2000);
insert into "Sch.em""a"."Größe 😀 [1]" select i, i, i, i, i, i, true from generate_series(1, 2000) i;
create table child (id int primary key, a int, b int, foreign key (a, b) references plain_key (a, b))
    with (autovacuum_enabled = off);
alter table child add constraint "it's positive" check (a > 0) not valid;
insert into child select i, null, null from generate_series(1, 2000) i;
"""
FLAWED = FLAWED.replace(
    "create table child", "create table plain_key (a int, b int, primary key (a, b));\ncreate table child"
)
CHECKS = ("missing-foreign-key-index", "stale-statistics", "not-valid-constraint")


@pytest.fixture
def flawed(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(FLAWED.encode())
    with psycopg.connect(database, autocommit=True) as owner:
        # Counters arrive late on PostgreSQL 13 and 14, and after an ANALYZE they would count what it has seen.
        until_so(owner, "select count(*) = 3 from pg_stat_user_tables where n_mod_since_analyze = 2000")
    return database


@pytest.fixture
def workspace(flawed: str) -> Iterator[Workspace]:
    with opened(OpenTargets(flawed, None)) as workspace:
        yield workspace


def audited(database: str) -> AuditReport:
    return audit(OpenTargets(database, None), Wish(only=CHECKS), silent)


def await_cure(database: str) -> None:
    """Here too counters arrive late."""
    until(lambda: not audited(database).findings, "nothing is found any more")
    assert audited(database).skipped == ()


def steps_of(report: AuditReport) -> list[Mapping[str, Any]]:
    return [found.fix.step for found in report.findings if found.fix is not None and found.fix.step is not None]


def written(steps: list[Mapping[str, Any]], directory: Path) -> Playbook:
    path = directory / "fixes.yml"
    path.write_text(yaml.safe_dump({"version": 1, "name": "fixes", "steps": steps}, allow_unicode=True))
    return load(path)


def test_every_step_is_planned_applied_and_cures(flawed: str, workspace: Workspace, tmp_path: Path) -> None:
    steps = steps_of(audited(flawed))
    assert {next(iter(step)) for step in steps} == {"index", "analyze", "sql"}
    playbook = written(steps, tmp_path)
    assert {step.status for step in make_plan(workspace, playbook, Selection()).steps} == {"change"}
    assert {step.status for step in apply_playbook(workspace, Order(playbook), silent).steps} == {"applied"}
    await_cure(flawed)


def test_the_statements_of_a_finding_run_as_they_stand(flawed: str) -> None:
    with psycopg.connect(flawed, autocommit=True) as owner:
        for found in audited(flawed).findings:
            for statement in found.fix.sql if found.fix else ():
                owner.execute(statement.encode())
    await_cure(flawed)
