"""`dbtune advise --measure` ended from outside: the indexes that it built do not stay."""

from __future__ import annotations

import signal
from typing import Any

import pytest

QUICK = "select count(note) from items where owner = 7"
SLOW = "select (select count(note) from items where owner = 7), pg_sleep(60)"
MEASURE = ("advise", "--measure", "--disposable", "--format", "json", "--sql")
ASLEEP = "from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
NOTHING_RUNS = (
    "select not exists (select from pg_stat_activity where application_name = 'dbtune'"
    " and datname = current_database())"
)
INDEXES = (
    "select relname from pg_index join pg_class on oid = indexrelid"
    " where indrelid = 'items'::regclass and not indisprimary order by 1"
)


@pytest.fixture
def many(items: Any) -> Any:
    """Enough rows for an index on `owner`."""
    items.sql("insert into items select i, i % 5000, now(), 'note ' || i from generate_series(2001, 60000) i")
    items.sql("analyze items")
    return items


def test_a_measurement_that_ends_well_leaves_nothing(many: Any) -> None:
    answer = many.run(*MEASURE, QUICK)
    assert answer.code == 0, answer
    (index,) = answer.document["recommendations"]
    assert index["confidence"] == "measured"
    assert many.sql(INDEXES) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drops_what_was_built(many: Any, number: signal.Signals) -> None:
    process = many.start(*MEASURE, SLOW)
    many.until(f"select exists (select {ASLEEP})")
    assert many.sql(INDEXES)
    process.send_signal(number)
    assert many.end(process).code == 130
    many.until(NOTHING_RUNS)
    assert many.sql(INDEXES) == []


def test_what_a_killed_measurement_has_left_is_dropped_by_the_next_and_named(many: Any) -> None:
    many.sql("create index mine on items (created_at)")
    process = many.start(*MEASURE, SLOW)
    many.until(f"select exists (select {ASLEEP})")
    process.kill()
    process.communicate()
    left = {name for (name,) in many.sql(INDEXES)} - {"mine"}
    assert left
    # Its backend would sleep on, and the next run wait for it.
    many.sql(f"select pg_terminate_backend(pid) {ASLEEP}")
    many.until(NOTHING_RUNS)
    answer = many.run(*MEASURE, QUICK)
    assert answer.code == 0, answer
    assert any("left by a measurement that was killed" in note for note in answer.document["notes"])
    assert {index["confidence"] for index in answer.document["recommendations"]} == {"measured"}
    assert many.sql(INDEXES) == [("mine",)]


def test_two_measurements_of_one_database_do_not_meet(many: Any) -> None:
    first = many.start(*MEASURE, SLOW)
    many.until(f"select exists (select {ASLEEP})")
    second = many.run(*MEASURE, QUICK)
    assert second.code != 0
    assert "another run of dbtune" in second.err
    first.send_signal(signal.SIGINT)
    assert many.end(first).code == 130
    assert many.sql(INDEXES) == []
