"""Plan, apply, verify and rollback on a real server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
import pytest

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.plan import make_plan
from dbtune.app.rollback import roll_back
from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.verify import verify_playbook
from dbtune.app.workspace import Workspace, opened
from dbtune.core.progress import silent
from dbtune.core.reports import RunReport
from dbtune.playbook.model import Playbook, PlaybookStep, Position
from dbtune.steps.step import Step, kinds

TABLES = """
create table users (id bigint primary key, email text, status text, deleted_at timestamptz, created_at timestamptz);
create table "Odd ""name" (id int primary key, "Mixed Case" text, "select" int);
insert into users select i, 'user' || i || '@example.com', case when i % 10 = 0 then 'pending' else 'done' end,
    null, now() - i * interval '1 minute' from generate_series(1, 5000) i;
analyze;
"""


@pytest.fixture
def workspace(database: str) -> Iterator[Workspace]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES)
    with opened(OpenTargets(database, None)) as workspace:
        yield workspace


def playbook(*steps: dict[str, object], name: str = "test") -> Playbook:
    """A playbook of one-key mappings, as a file would give them."""
    built = []
    for place, written in enumerate(steps):
        (kind, value), *_ = written.items()
        step: Step = kinds()[kind].model_validate(value)
        built.append(PlaybookStep(f"s{place}", step.title(), kind, step, Position(place + 1, 1), step.fingerprint()))
    return Playbook("test.yml", name, "hash-" + name, tuple(built))


def statuses(report: RunReport) -> list[str]:
    return [step.status for step in report.steps]


def apply(workspace: Workspace, book: Playbook, **order: object) -> RunReport:
    return apply_playbook(workspace, Order(book, **order), silent)  # type: ignore[arg-type]


def everything(dsn: str) -> Sequence[tuple[object, ...]]:
    """The catalog and the settings as they are, but for the journal."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [
            *connection.execute(
                "select indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid from pg_index"
                " join pg_class on oid = indexrelid"
                " where relnamespace::regnamespace::text not in ('dbtune', 'pg_toast')"
                " order by 1"
            ).fetchall(),
            *connection.execute("select relname from pg_class where relnamespace = 'public'::regnamespace order by 1"),
            *connection.execute("select name, setting from pg_settings where name <> 'application_name' order by 1"),
            *connection.execute("select setdatabase, setrole, setconfig from pg_db_role_setting order by 1, 2"),
            *connection.execute("select name, setting from pg_file_settings order by sourcefile, name"),
        ]


INDEXES: tuple[dict[str, object], ...] = (
    {"index": {"table": "users", "columns": ["status", "created_at desc"]}},
    {"index": {"table": "users", "columns": ["lower(email)"], "unique": True}},
    {
        "index": {
            "table": "users",
            "columns": "created_at",
            "where": "status in ('pending', 'new') and deleted_at is null",
        }
    },
    {"index": {"table": "users", "columns": "email", "opclass": "text_pattern_ops", "include": ["status"]}},
    {"index": {"table": "public.users", "columns": ["created_at"], "method": "brin", "with": {"pages_per_range": 16}}},
    {"index": {"table": '"Odd ""name"', "columns": ['"Mixed Case" desc nulls last', "select"]}},
)


def test_indexes_are_planned_built_verified_found_again_and_rolled_back(workspace: Workspace) -> None:
    before = everything(workspace.dsn)
    book = playbook(*INDEXES)
    plan = make_plan(workspace, book, Selection())
    assert statuses(plan) == ["change"] * len(INDEXES)
    assert everything(workspace.dsn) == before, "a plan changes nothing"

    first = apply(workspace, book)
    assert statuses(first) == ["applied"] * len(INDEXES), [step.error for step in first.steps]
    second = apply(workspace, book)
    assert statuses(second) == ["unchanged"] * len(INDEXES)
    assert statuses(verify_playbook(workspace, book, Selection(), silent)) == ["ok"] * len(INDEXES)

    assert first.run_id is not None
    undone = roll_back(workspace, first.run_id, silent)
    assert statuses(undone) == ["reverted"] * len(INDEXES), [step.error for step in undone.steps]
    assert everything(workspace.dsn) == before
    assert statuses(roll_back(workspace, first.run_id, silent)) == ["nothing_to_do"] * len(INDEXES)


def test_settings_of_every_scope_converge_and_go_back_to_their_absence(workspace: Workspace) -> None:
    before = everything(workspace.dsn)
    with psycopg.connect(workspace.dsn, autocommit=True) as connection:
        connection.execute("create role dbtune_test_role")
    try:
        book = playbook(
            {"setting": {"name": "work_mem", "value": "64MB", "scope": "database"}},
            {"setting": {"name": "random_page_cost", "value": 1.1, "scope": "role", "role": "dbtune_test_role"}},
            {"setting": {"name": "checkpoint_completion_target", "value": 0.8, "scope": "system"}},
            {"slow_log": {"min_duration": "100ms", "statements": "mod", "lock_waits": True}},
        )
        first = apply(workspace, book)
        assert statuses(first) == ["applied"] * 4, [step.error for step in first.steps]
        assert statuses(apply(workspace, book)) == ["unchanged"] * 4
        with psycopg.connect(workspace.dsn) as fresh:
            assert fresh.execute("show work_mem").fetchone() == ("64MB",)
            assert fresh.execute("show log_min_duration_statement").fetchone() == ("100ms",)
        assert first.run_id is not None
        assert statuses(roll_back(workspace, first.run_id, silent)) == ["reverted"] * 4
        assert everything(workspace.dsn) == before
    finally:
        with psycopg.connect(workspace.dsn, autocommit=True) as connection:
            connection.execute("drop role dbtune_test_role")


def test_a_partial_index_is_as_large_as_the_rows_that_the_planner_expects(workspace: Workspace) -> None:
    predicates = (None, "status = 'pending'", "status = 'pending' -- a tenth", "status = 'pending'); select (1")
    steps: list[dict[str, object]] = [
        {"index": {"table": "users", "columns": ["created_at"], "where": where}} for where in predicates
    ]
    report = make_plan(workspace, playbook(*steps), Selection())
    sizes = [step.size_bytes for step in report.steps]
    assert sizes[0] == pytest.approx(16384 + 5000 * 20 / 0.9, rel=0.01)
    assert sizes[1] == sizes[2] == pytest.approx(16384 + 500 * 20 / 0.9, rel=0.05)
    assert statuses(report)[3] == "conflict"
