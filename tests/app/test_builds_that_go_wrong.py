"""Concurrent index builds on a real server, with what goes wrong in practice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from patience import until

from dbtune.app.apply import Order, apply_playbook
from dbtune.app.plan import make_plan
from dbtune.app.rollback import roll_back
from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import Workspace, opened
from dbtune.core.errors import Busy
from dbtune.core.progress import silent
from dbtune.core.reports import RunReport
from dbtune.playbook.model import Playbook, PlaybookStep, Position
from dbtune.servers.postgres.lock import KEYS
from dbtune.steps.index import Index
from dbtune.steps.step import Step, kinds

INDEX = "items_owner_created_at_idx"


@pytest.fixture
def workspace(database: str) -> Iterator[Workspace]:
    run(database, "create table items (id bigint primary key, owner int, created_at timestamptz, note text)")
    run(database, "insert into items select i, i % 100, now(), 'x' from generate_series(1, 20000) i")
    with opened(OpenTargets(database, None)) as workspace:
        yield workspace


def run(dsn: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return list(cursor.fetchall()) if cursor.description else []


def book(**more: object) -> Playbook:
    step = Index.model_validate({"table": "items", "columns": ["owner", "created_at"]} | more)
    return of(step)


def of(step: Step) -> Playbook:
    one = PlaybookStep("s0", step.title(), step.kind, step, Position(1, 1), step.fingerprint())
    return Playbook("test.yml", "test", "hash", (one,))


def apply(workspace: Workspace, playbook: Playbook | None = None) -> RunReport:
    return apply_playbook(workspace, Order(playbook or book()), silent)


def test_a_build_waits_for_an_older_transaction_without_blocking_writers(workspace: Workspace) -> None:
    told: list[str] = []
    with psycopg.connect(workspace.dsn) as older:
        older.execute("update items set note = 'y' where id = 1")
        pid = older.info.backend_pid
        plan = make_plan(workspace, book(), Selection())
        # Case 12: what would be waited for is named before the start; a transaction counts from its first second.
        time.sleep(1.1)
        plan = make_plan(workspace, book(), Selection())
        assert f"backend {pid}" in plan.steps[0].blockers[0]
        outcome: list[RunReport] = []

        def tell(text: str, fraction: float | None = None) -> None:
            told.append(text)

        builder = threading.Thread(target=lambda: outcome.append(apply_playbook(workspace, Order(book()), tell)))
        builder.start()
        # Longer than any sensible lock_timeout: the build must outwait it, and others must be able to write.
        until(lambda: any(f"waiting for backend {pid}" in text for text in told), "the build waits")
        run(workspace.dsn, "set lock_timeout = '1s'; insert into items values (-1, 1, now(), 'not blocked')")
        time.sleep(2.5)
        assert builder.is_alive()
        older.commit()
    builder.join(30)
    assert outcome[0].steps[0].status == "applied"


def test_a_second_run_is_told_at_once_who_holds_the_lock(workspace: Workspace) -> None:
    with psycopg.connect(workspace.dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s, %s)", KEYS)
        with pytest.raises(Busy, match=f"backend {other.info.backend_pid}"):
            apply(workspace)


def test_two_runs_that_wait_for_each_other_do_not_deadlock(workspace: Workspace) -> None:
    """Case 2: the second one polls, so that it holds no snapshot for which the first one's build would wait."""
    first: list[RunReport] = []
    second: list[RunReport] = []
    with psycopg.connect(workspace.dsn) as older, opened(OpenTargets(workspace.dsn, None)) as other:
        older.execute("update items set note = 'z' where id = 2")
        one = threading.Thread(target=lambda: first.append(apply(workspace)))
        one.start()
        until(lambda: run(workspace.dsn, "select 1 from pg_stat_progress_create_index"), "a build has begun")
        order = Order(book(), lock_wait_s=60)
        two = threading.Thread(target=lambda: second.append(apply_playbook(other, order, silent)))
        two.start()
        time.sleep(1)
        older.commit()
        one.join(30)
        two.join(30)
    assert first[0].steps[0].status == "applied"
    assert second[0].steps[0].status == "unchanged"


def test_an_invalid_index_of_the_same_definition_is_dropped_and_built_again(workspace: Workspace) -> None:
    """Cases 3, 4 and 6: IF NOT EXISTS would call this one a success."""
    leave_invalid_index(workspace.dsn, f"create index concurrently {INDEX} on items (owner, created_at)")
    plan = make_plan(workspace, book(), Selection())
    assert plan.steps[0].status == "change"
    assert any("left over" in note for note in plan.steps[0].notes)
    report = apply(workspace)
    assert report.steps[0].status == "applied", report.steps[0].error
    assert usable(workspace.dsn) == [(INDEX, True)]


def test_an_invalid_index_of_another_definition_is_refused_with_the_command(workspace: Workspace) -> None:
    leave_invalid_index(workspace.dsn, f"create index concurrently {INDEX} on items (note)")
    report = apply(workspace)
    assert report.steps[0].status == "failed"
    assert "drop index concurrently" in str(report.steps[0].error)
    assert usable(workspace.dsn) == [(INDEX, False)], "somebody else's index is not touched"


def test_a_build_whose_client_was_killed_is_watched_to_its_end(workspace: Workspace) -> None:
    """Case 5: the server goes on building; a second build or a drop would be wrong."""
    with psycopg.connect(workspace.dsn) as older:
        older.execute("update items set note = 'w' where id = 3")
        orphan = threading.Thread(
            target=run, args=(workspace.dsn, f"create index concurrently {INDEX} on items (owner, created_at)")
        )
        orphan.start()
        until(lambda: run(workspace.dsn, "select 1 from pg_stat_progress_create_index"), "a build has begun")
        plan = make_plan(workspace, book(), Selection())
        assert any("is building it now" in note for note in plan.steps[0].notes)
        outcome: list[RunReport] = []
        told: list[str] = []
        watcher = threading.Thread(
            target=lambda: outcome.append(
                apply_playbook(workspace, Order(book()), lambda text, fraction=None: told.append(text))
            )
        )
        watcher.start()
        until(lambda: any("watching backend" in text for text in told), "the build is watched")
        assert len(run(workspace.dsn, "select 1 from pg_stat_progress_create_index")) == 1
        older.commit()
        orphan.join(30)
        watcher.join(30)
    assert outcome[0].steps[0].status == "applied", outcome[0].steps[0].error
    assert usable(workspace.dsn) == [(INDEX, True)]


def test_a_time_budget_cancels_the_build_and_leaves_nothing_behind(workspace: Workspace) -> None:
    """Case 7, as a Ctrl-C ends it too: cancel the backend, then clean up on a fresh session."""
    with psycopg.connect(workspace.dsn) as older:
        older.execute("update items set note = 'v' where id = 4")
        slow = book()
        playbook = replace(slow, steps=(replace(slow.steps[0], timeout_s=1.5),))
        committer = threading.Timer(4, older.commit)
        committer.start()
        report = apply(workspace, playbook)
        committer.join()
    assert report.steps[0].status == "failed"
    assert "not built in time" in str(report.steps[0].error)
    assert usable(workspace.dsn) == []
    assert apply(workspace).steps[0].status == "applied"


def test_the_same_name_with_another_definition_is_a_conflict(workspace: Workspace) -> None:
    run(workspace.dsn, f"create index {INDEX} on items (note)")
    plan = make_plan(workspace, book(), Selection())
    assert (plan.steps[0].status, plan.exit_code) == ("conflict", 1)
    report = apply(workspace)
    assert (report.steps[0].status, report.exit_code) == ("failed", 4)


def test_the_same_definition_under_another_name_satisfies_the_step_and_survives_the_rollback(
    workspace: Workspace,
) -> None:
    run(workspace.dsn, "create index mine on items (owner, created_at)")
    report = apply(workspace)
    assert (report.steps[0].status, report.steps[0].reason) == ("unchanged", "satisfied by mine")
    assert report.run_id is not None
    roll_back(workspace, report.run_id, silent)
    assert usable(workspace.dsn) == [("mine", True)]


@pytest.mark.parametrize(
    "other",
    [
        "(owner, created_at desc)",
        "(owner, created_at nulls first)",
        "(created_at, owner)",
        "(owner, created_at, id)",
        "(owner, created_at) include (note)",
        "(owner, created_at) where owner > 5",
        "(owner)",
    ],
)
def test_a_similar_index_is_not_the_same(workspace: Workspace, other: str) -> None:
    run(workspace.dsn, f"create index alike on items {other}")
    assert make_plan(workspace, book(), Selection()).steps[0].status == "change"


def test_a_predicate_is_compared_by_meaning(workspace: Workspace) -> None:
    run(workspace.dsn, "create index p on items (owner, created_at) where note in ('a', 'b') and owner > 1 + 1")
    same = book(where="((note = any (array['a', 'b'])) AND owner > 2)")
    other = book(where="note in ('a', 'c') and owner > 2")
    assert make_plan(workspace, same, Selection()).steps[0].reason == "satisfied by p"
    assert make_plan(workspace, other, Selection()).steps[0].status == "change"


def test_duplicates_are_named_before_a_unique_build_starts(workspace: Workspace) -> None:
    report = apply(workspace, book(columns=["owner"], unique=True))
    assert report.steps[0].status == "failed"
    assert "(200 times)" in str(report.steps[0].error)
    assert usable(workspace.dsn) == []


def test_an_index_that_somebody_made_anew_is_kept_by_the_rollback(workspace: Workspace) -> None:
    report = apply(workspace)
    run(workspace.dsn, f"drop index {INDEX}")
    run(workspace.dsn, f"create index {INDEX} on items (owner, created_at)")
    assert report.run_id is not None
    undone = roll_back(workspace, report.run_id, silent)
    assert undone.steps[0].status == "kept"
    assert usable(workspace.dsn) == [(INDEX, True)]


def test_missing_tables_and_columns_are_found_by_plan_with_the_nearest_names(workspace: Workspace) -> None:
    table = make_plan(workspace, book(table="itmes"), Selection()).steps[0]
    column = make_plan(workspace, book(columns=["ownr"]), Selection()).steps[0]
    assert table.status == column.status == "conflict"
    assert '"public.items"' in str(table.error) or '"items"' in str(table.error)
    assert 'did you mean "owner"' in str(column.error)


def leave_invalid_index(dsn: str, statement: str) -> None:
    """What a crashed build leaves: cancelled while it waits for an older transaction."""
    with psycopg.connect(dsn) as older:
        older.execute("update items set note = 'u' where id = 5")
        with psycopg.connect(dsn, autocommit=True) as builder:
            thread = threading.Thread(target=swallow, args=(builder, statement))
            thread.start()
            until(lambda: run(dsn, "select 1 from pg_stat_progress_create_index"), "a build has begun")
            run(dsn, f"select pg_cancel_backend({builder.info.backend_pid})")
            thread.join(30)
    assert usable(dsn) == [(INDEX, False)]


def swallow(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.QueryCanceled:
        return


def usable(dsn: str) -> list[tuple[object, ...]]:
    return run(
        dsn,
        "select relname, indisvalid from pg_index join pg_class on oid = indexrelid"
        " where indrelid = 'items'::regclass and not indisprimary order by 1",
    )


def test_every_kind_has_a_docstring_which_is_its_documentation() -> None:
    assert all(kind.__doc__ for kind in kinds().values())
