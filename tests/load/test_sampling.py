"""How exact the figures of a sample are, and what is said of it."""

from __future__ import annotations

import random

import pytest

from dbtune.baseline.histogram import quantile
from dbtune.baseline.load_result import LoadResult
from dbtune.load.recorder import Recorder, Seen
from dbtune.load.sampling import (
    apportion,
    describe_sample,
    least_logged,
    one_in,
    sample_size,
    sampling_interval,
)
from dbtune.load.stages import Stage, segments
from dbtune.load.timeline import timeline


def result(times_us: list[int], every: int, numbers: random.Random) -> LoadResult:
    """One in `every` of these times."""
    recorder = Recorder(["a"], timeline(segments([Stage.model_validate({"duration": "6s", "clients": 1})])))
    for place, time_us in enumerate(times_us):
        if every == 1 or numbers.random() < 1 / every:
            recorder.add(Seen(0, place * 6 / len(times_us), time_us), weight=every)
    recorder.worked(0, 6, 6)
    return recorder.result("l", "e", "closed", "p")


@pytest.mark.parametrize(("weights", "total"), [([1, 1, 1], 10), ([3, 0, 7], 99), ([5], 0), ([], 7), ([2, 2], 1)])
def test_parts_are_whole_and_make_up_the_total(weights: list[int], total: int) -> None:
    parts = apportion(weights, total)
    assert len(parts) == len(weights)
    assert sum(parts) == (total if weights else 0)
    assert all(part >= 0 for part in parts)


@pytest.mark.parametrize(
    ("rate_per_s", "duration_s", "every"),
    [(0, 5, 1), (5_000, 60, 1), (5_001, 60, 6), (50_000, 5, 50), (5_000, 3600, 6), (300, 1_000_000, 100)],
)
def test_the_faster_and_longer_the_smaller_the_share_that_is_logged(
    rate_per_s: float, duration_s: float, every: int
) -> None:
    assert one_in(rate_per_s, duration_s) == every


def test_a_sample_may_be_small_by_chance_and_not_by_half() -> None:
    numbers = random.Random(2)  # noqa: S311 - the same numbers each time
    for _ in range(50):
        assert sum(numbers.random() < 0.1 for _ in range(2000)) >= least_logged(2000, 10)
    assert least_logged(2000, 10) > 100
    assert least_logged(0, 10) < 0
    assert least_logged(1000, 1) > 990


def test_the_interval_of_a_sample_holds_the_percentile_of_all_about_as_often_as_it_says() -> None:
    numbers = random.Random(7)  # noqa: S311 - the same numbers each time
    held = 0
    for _ in range(100):
        times = [round(numbers.lognormvariate(7, 1)) for _ in range(4000)]
        interval = sampling_interval(result(times, 10, numbers), 0.95)
        exact = quantile(result(times, 1, numbers).response, 0.95)
        assert interval is not None
        assert exact is not None
        held += interval[0] <= exact <= interval[1]
    assert held >= 88


def test_where_everything_is_timed_there_is_no_sampling_error() -> None:
    whole = result([1000] * 50, 1, random.Random(1))  # noqa: S311 - as above
    assert (whole.timed, sample_size(whole), sampling_interval(whole, 0.5), describe_sample(whole)) == (None,) * 4


def test_the_remark_says_how_many_were_timed_of_how_many() -> None:
    numbers = random.Random(3)  # noqa: S311 - as above
    found = result([round(numbers.lognormvariate(7, 1)) for _ in range(20_000)], 10, numbers)
    said = describe_sample(found)
    assert said is not None
    assert said.startswith(f"{found.timed:,} of {found.sent:,} transactions were timed")
    assert "P99 ±" in said


def test_stages_sampled_differently_rest_on_fewer_times_than_were_taken() -> None:
    recorder = Recorder(["a"], timeline(segments([Stage.model_validate({"duration": "6s", "clients": 1})])))
    for place in range(1000):
        recorder.add(Seen(0, 0.5, 1000 + place))
        recorder.add(Seen(0, 5.5, 2000 + place), weight=100)
    recorder.worked(0, 6, 6)
    size = sample_size(recorder.result("l", "e", "closed", "p"))
    assert size is not None
    assert 1000 < size < 1050
