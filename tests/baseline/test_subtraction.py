"""The rules of subtraction, on rows as the server gives them."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbtune.baseline.capture import StatementRow, Statements
from dbtune.baseline.subtraction import subtract

ROW = StatementRow(userid=10, dbid=5, queryid="1", toplevel=True, calls=100, exec_ms=200.0)
LATER = datetime(2026, 1, 2, tzinfo=UTC)


def shot(*rows: StatementRow, dealloc: int | None = 0, reset: datetime | None = None) -> Statements:
    return Statements(rows=rows, entries=len(rows), dealloc=dealloc, stats_reset=reset)


def grown(row: StatementRow, calls: int = 10, exec_ms: float = 30.0) -> StatementRow:
    return replace(row, calls=row.calls + calls, exec_ms=row.exec_ms + exec_ms)


def test_a_row_that_grew_is_whole() -> None:
    delta = subtract(shot(ROW), shot(grown(ROW))).deltas[ROW.key]
    assert (delta.state, delta.calls, delta.exec_ms) == ("whole", 10, 30.0)


def test_nested_calls_are_a_statement_of_their_own() -> None:
    nested = replace(ROW, toplevel=False)
    found = subtract(shot(ROW, nested), shot(grown(ROW), grown(nested, calls=7)))
    assert {key.toplevel: delta.calls for key, delta in found.deltas.items()} == {True: 10, False: 7}


def test_a_reset_of_all_makes_the_window_invalid() -> None:
    found = subtract(shot(ROW), shot(grown(ROW), reset=LATER))
    assert found.invalid is not None
    assert "reset" in found.invalid
    assert not found.deltas


def test_before_1_9_a_reset_shows_in_every_counter_having_fallen() -> None:
    found = subtract(shot(ROW, dealloc=None), shot(replace(ROW, calls=3, exec_ms=1.0), dealloc=None))
    assert found.invalid is not None


def test_before_1_9_a_reset_shows_in_most_entries_having_gone() -> None:
    others = [replace(ROW, queryid=str(number)) for number in range(5)]
    found = subtract(shot(*others, dealloc=None), shot(grown(others[0]), dealloc=None))
    assert "reset" in (found.invalid or "")


def test_before_1_9_an_idle_window_is_no_reset() -> None:
    assert subtract(shot(ROW, dealloc=None), shot(ROW, dealloc=None)).invalid is None


def test_one_counter_that_fell_makes_the_row_partial_even_with_more_calls() -> None:
    early = replace(ROW, shared_hit=500)
    other = replace(ROW, queryid="2")
    found = subtract(shot(early, other), shot(replace(grown(early), shared_hit=40), grown(other)))
    assert found.deltas[ROW.key].state == "partial"
    assert found.deltas[ROW.key].calls == 110
    assert found.deltas[other.key].state == "whole"


def test_from_1_11_on_a_new_beginning_of_the_row_makes_it_partial() -> None:
    early = replace(ROW, stats_since=datetime(2026, 1, 1, tzinfo=UTC))
    found = subtract(shot(early), shot(replace(grown(early), stats_since=LATER)))
    assert found.deltas[ROW.key].state == "partial"


def test_a_new_row_starts_at_zero_only_if_nothing_was_evicted() -> None:
    assert subtract(shot(), shot(ROW)).deltas[ROW.key].state == "new"
    assert subtract(shot(dealloc=1), shot(ROW, dealloc=2)).deltas[ROW.key].state == "partial"


def test_a_row_that_went_is_evicted_not_stopped() -> None:
    other = replace(ROW, queryid="2")
    found = subtract(shot(ROW, other), shot(grown(other), dealloc=1))
    assert found.evicted == (ROW.key,)
    assert found.dealloc == 1


def test_own_statements_are_left_out() -> None:
    assert not subtract(shot(ROW), shot(grown(ROW)), own={"1"}).deltas


def test_hidden_statements_lower_the_coverage() -> None:
    first = replace(shot(ROW), hidden_exec_ms=100.0)
    found = subtract(first, replace(shot(grown(ROW)), hidden_exec_ms=190.0))
    assert found.hidden_share == pytest.approx(0.75)


def test_the_deviation_of_a_window_comes_from_the_cumulative_ones() -> None:
    random.seed(4)
    calls = [random.expovariate(1 / 3) for _ in range(500)]
    late = _cumulative(calls)
    early = _cumulative(calls[:200])
    delta = subtract(shot(early), shot(late)).deltas[ROW.key]
    assert delta.deviation_ms == pytest.approx(statistics.stdev(calls[200:]), rel=1e-9)


def _cumulative(calls: Sequence[float]) -> StatementRow:
    return replace(ROW, calls=len(calls), exec_ms=sum(calls), exec_stddev_ms=statistics.pstdev(calls))
