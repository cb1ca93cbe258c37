"""Histograms hold what was put in, merge without loss, and say when they are damaged."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.baseline import histogram, statistics
from dbtune.baseline.samples import Counted, Values


def drawn(n: int, seed: int) -> list[float]:
    generator = random.Random(seed)  # noqa: S311 - repeatable
    return [generator.lognormvariate(-7, 1.5) for _ in range(n)]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_a_percentile_is_off_by_a_thousandth_at_most(share: float) -> None:
    values = drawn(20_000, 1)
    found = histogram.quantile(histogram.of_values(values), share)
    assert found == pytest.approx(statistics.quantile(sorted(values), share), rel=1.5e-3)


def test_merging_blocks_is_as_good_as_one_block() -> None:
    values = drawn(3_000, 2)
    merged = histogram.merge(histogram.of_values(values[start : start + 1000]) for start in (0, 1000, 2000))
    whole = histogram.of_values(values)
    assert (merged.count, merged.low_s, merged.high_s) == (whole.count, whole.low_s, whole.high_s)
    assert merged.points() == whole.points()


def test_nothing_is_nothing() -> None:
    assert histogram.quantile(histogram.EMPTY, 0.5) is None
    assert histogram.merge([]) == histogram.EMPTY
    assert histogram.sample(histogram.EMPTY) == ()


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a time"):
        histogram.of_values([0.1, value])


def test_damage_is_noticed() -> None:
    good = histogram.of_values(drawn(100, 3))
    for damaged in (replace(good, encoded="x" + good.encoded[1:]), replace(good, count=99), replace(good, sum_s=-1.0)):
        with pytest.raises(ValueError, match=r"histogram|holds"):
            histogram.check(damaged)
    histogram.check(good)


def test_intervals_of_a_histogram_are_those_of_its_values() -> None:
    values = tuple(sorted(drawn(5_000, 4)))
    one, other = Values(values).interval(0.99), Counted(histogram.of_values(values)).interval(0.99)
    assert one is not None
    assert other is not None
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-3)


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=300))
def test_a_chart_begins_and_ends_with_the_extremes(values: list[float]) -> None:
    points = histogram.sample(histogram.of_values(values))
    assert (points[0], points[-1]) == (min(values), max(values))
    assert list(points) == sorted(points)
