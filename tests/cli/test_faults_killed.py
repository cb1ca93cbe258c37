"""`dbtune apply` ended from outside, at every kind of moment: what stays, and what the next run makes of it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

INDEX = "steps:\n  - index: {table: items, columns: [owner, created_at]}\n"
# The journal's tables have indexes as well, which are built otherwise.
BUILDING = (
    "select exists (select from pg_stat_progress_create_index"
    " where datname = current_database() and command = 'CREATE INDEX CONCURRENTLY')"
)
NOTHING_RUNS = (
    "select not exists (select from pg_stat_activity where application_name = 'dbtune'"
    " and datname = current_database())"
)
INDEXES = (
    "select relname, indisvalid from pg_index join pg_class on oid = indexrelid"
    " where indrelid = 'items'::regclass and not indisprimary order by 1"
)


def book(steps: str) -> str:
    return f"version: 1\nname: faults\n{steps}"


def test_a_build_whose_dbtune_was_killed_goes_on_and_the_next_apply_watches_it(
    items: Any, dump: Callable[[str], str]
) -> None:
    before = dump(items.dsn)
    path = items.playbook(book(INDEX))
    with items.older_transaction() as older:
        first = items.start("apply", path, "--yes")
        items.until(BUILDING)
        first.kill()
        first.communicate()
        second = items.start("apply", path, "--yes", "--lock-wait", "20s", "--format", "json")
        # Whether it has come to wait cannot be seen from outside; that one build goes on can.
        time.sleep(1.5)
        assert items.sql("select count(*) from pg_stat_progress_create_index") == [(1,)]
        older.commit()
    answer = items.end(second)
    assert answer.code == 0, answer
    assert items.sql(INDEXES) == [("items_owner_created_at_idx", True)]
    runs = items.runs()
    assert [run["status"] for run in runs][-1] == "interrupted"
    for run in runs:
        assert items.rollback(run["run_id"]).code == 0
    assert dump(items.dsn) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_a_build_cancels_it_cleans_up_and_is_written_down(items: Any, number: signal.Signals) -> None:
    path = items.playbook(book(INDEX))
    with items.older_transaction() as older:
        process = items.start("apply", path, "--yes", "--format", "json")
        items.until(BUILDING)
        process.send_signal(number)
        items.until(BUILDING.replace("exists", "not exists"))
        # The clean-up drops CONCURRENTLY, which waits for the same transaction.
        older.commit()
        answer = items.end(process)
    assert answer.code == 130
    assert answer.statuses == ["failed"]
    assert items.sql(INDEXES) == []
    items.until(NOTHING_RUNS)
    assert items.sql("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]
    (run,) = items.runs()
    assert run["status"] == "interrupted"
    resumed = items.apply(path, "--resume")
    assert resumed.statuses == ["applied"]
    assert resumed.document["run_id"] == run["run_id"]
    assert [run["status"] for run in items.runs()] == ["applied"]
    assert items.apply(path).statuses == ["unchanged"]
    assert items.rollback(run["run_id"]).code == 0
    assert items.sql(INDEXES) == []


def test_a_signal_that_nohup_ignores_stays_ignored(items: Any) -> None:
    path = items.playbook(book(INDEX))
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with items.older_transaction() as older:
            process = items.start("apply", path, "--yes", "--format", "json")
            items.until(BUILDING)
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            assert items.sql("select count(*) from pg_stat_progress_create_index") == [(1,)]
            older.commit()
            answer = items.end(process)
    finally:
        signal.signal(signal.SIGHUP, kept)
    assert (answer.code, answer.statuses) == (0, ["applied"])


def test_an_interrupt_in_a_transaction_undoes_it_and_the_steps_before_stay_on_record(items: Any) -> None:
    steps = (
        INDEX + "  - sql:\n      apply: 'create table made (a int); select pg_sleep(60)'\n"
        "      rollback: drop table made\n"
        "  - sql: {apply: create table later (a int), rollback: drop table later}\n"
    )
    path = items.playbook(book(steps))
    process = items.start("apply", path, "--yes", "--format", "json")
    items.until("select exists (select from pg_stat_activity where wait_event = 'PgSleep')")
    process.send_signal(signal.SIGINT)
    answer = items.end(process)
    assert (answer.code, answer.statuses) == (130, ["applied", "failed", "not_run"])
    assert items.sql("select to_regclass('made'), to_regclass('later')") == [(None, None)]
    items.until(NOTHING_RUNS)
    undone = items.rollback()
    assert (undone.code, undone.statuses) == (0, ["nothing_to_do", "reverted"])
    assert items.sql(INDEXES) == []


SLEEPS = (
    'steps:\n  - sql:\n      apply: "create table made (a int); select pg_sleep(case when exists'
    ' (select from items where id = -1) then 0 else 600 end)"\n      rollback: drop table made\n'
)
ASLEEP = "select exists (select from pg_stat_activity where wait_event = 'PgSleep')"


def killed_asleep(items: Any) -> str:
    """A playbook whose first apply was killed while its statement slept; the next one does not sleep."""
    path: str = items.playbook(book(SLEEPS))
    process = items.start("apply", path, "--yes")
    items.until(ASLEEP)
    process.kill()
    process.communicate()
    items.sql("insert into items (id) values (-1)")
    return path


@pytest.mark.pg(">= 14")
def test_a_transaction_whose_dbtune_was_killed_ends_soon_and_the_next_apply_takes_over(items: Any) -> None:
    path = killed_asleep(items)
    answer = items.apply(path, "--lock-wait", "20s")
    assert (answer.code, answer.statuses) == (0, ["applied"]), answer
    for run in items.runs():
        assert items.rollback(run["run_id"]).code == 0
    assert items.sql("select to_regclass('made')") == [(None,)]


@pytest.mark.pg("< 14")
def test_a_transaction_that_the_server_does_not_end_is_named_until_somebody_ends_it(items: Any) -> None:
    """13 does not look whether its client still lives (client_connection_check_interval came with 14)."""
    path = killed_asleep(items)
    ((pid,),) = items.sql("select pid from pg_stat_activity where wait_event = 'PgSleep'")
    answer = items.apply(path, "--lock-wait", "2s")
    assert answer.code == 5
    assert f"backend {pid} still works" in answer.err
    items.sql(f"select pg_terminate_backend({pid})")
    assert items.apply(path, "--lock-wait", "20s").statuses == ["applied"]


MANY = """\
version: 1
name: many
steps:
  - sql: {apply: "create table made (a int)", rollback: drop table made}
  - index: {table: items, columns: [owner, created_at]}
  - setting: {name: work_mem, value: 33MB}
  - sql: {apply: "create index concurrently alone on items (note)", verify: "select to_regclass('alone') is not null",
          rollback: "drop index concurrently alone"}
  - index: {table: items, expressions: [lower(note)], unique: true}
  - sql: {apply: "alter table items add extra int", rollback: "alter table items drop extra"}
  - analyze: {tables: [items]}
  - index: {table: items, columns: [created_at desc]}
"""


@pytest.mark.slow(60)
def test_killed_at_any_moment_the_next_apply_converges_and_the_rollbacks_restore(
    items: Any, dump: Callable[[str], str]
) -> None:
    before = dump(items.dsn)
    path = items.playbook(MANY)
    chance = random.Random(20)  # noqa: S311 - the same moments every time
    begun = time.monotonic()
    assert items.apply(path).code == 0
    whole_s = time.monotonic() - begun
    _roll_all_back(items)
    in_the_midst = 0
    for attempt in range(20):
        process = items.start("apply", path, "--yes", "--lock-wait", "20s")
        time.sleep(chance.uniform(0.0, whole_s))
        process.kill()
        process.communicate()
        in_the_midst += process.returncode != 0
        # The first run may have been a slow one; kills are to fall into the ones that follow.
        whole_s *= 1.0 if process.returncode else 0.8
        answer = items.apply(path, "--lock-wait", "20s")
        assert answer.code == 0, (attempt, answer)
        assert items.json("plan", path, "--exit-code").code == 0, attempt
        _roll_all_back(items)
        # A dropped column leaves a gap that pg_dump does not show.
        assert dump(items.dsn) == before, attempt
    assert in_the_midst > 5


def _roll_all_back(items: Any) -> None:
    for run in items.runs():
        if run["command"] == "apply" and run["status"] != "rolled_back":
            undone = items.rollback(run["run_id"])
            assert undone.code == 0, undone
