from __future__ import annotations

import random

import pytest

from dbtune.baseline.histogram import quantile
from dbtune.load.recorder import Recorder, Seen, rounded
from dbtune.load.stages import Stage, segments
from dbtune.load.timeline import timeline


def recorder(*names: str, seconds: int = 6, rate: float | None = None) -> Recorder:
    stage = Stage.model_validate({"duration": f"{seconds}s", "clients": 2, "rate": rate})
    return Recorder(names, timeline(segments([stage])))


def test_percentiles_are_within_a_thousandth_of_the_exact_ones() -> None:
    found = recorder("a")
    numbers = random.Random(7)  # noqa: S311 - the same numbers each time
    times = [round(numbers.lognormvariate(8, 1.2)) for _ in range(20_000)]
    for place, time_us in enumerate(times):
        found.add(Seen(0, place * 6 / len(times), time_us))
    found.worked(0, 6, 6)
    times.sort()
    response = found.result("x", "e", "closed", "p").response
    for share in (0.5, 0.9, 0.95, 0.99):
        assert quantile(response, share) == pytest.approx(times[int(share * 19_999)] / 1e6, rel=0.003)
    assert response.mean_s == pytest.approx(sum(times) / len(times) / 1e6)


def test_what_failed_is_counted_apart_from_the_times() -> None:
    found = recorder("a", "b")
    found.add(Seen(0, 1, 1000))
    found.add(Seen(1, 1, 2000))
    found.fail(1, 1, "boom", 3)
    found.worked(0, 6, 6)
    result = found.result("x", "e", "closed", "p")
    assert (result.sent, result.failed, result.response.count) == (5, 3, 2)
    assert result.errors == {"boom": 3}
    assert [sum(block.failed for block in stream.blocks) for stream in result.streams] == [0, 3]


def test_blocks_that_were_never_reached_are_left_out() -> None:
    found = recorder("a")
    found.add(Seen(0, 0.5, 1000))
    found.worked(0, 2.0, 2.0)
    result = found.result("x", "e", "closed", "p")
    assert len(result.blocks) == 2
    assert result.duration_s == pytest.approx(2.0)


def test_a_second_without_an_answer_is_a_zero_and_no_hole() -> None:
    found = recorder("a")
    for second in (0, 1, 4, 5):
        found.add(Seen(0, second + 0.5, 1000, count=10))
    found.worked(0, 6, 6)
    series = found.result("x", "e", "closed", "p").series
    assert [moment.rate for moment in series] == [10, 10, 0, 0, 10, 10]
    assert series[2].p95_s is None


def test_service_time_is_kept_beside_response_time() -> None:
    found = recorder("a", rate=10)
    found.add(Seen(0, 1, 5000, 1000))
    found.worked(0, 6, 6)
    result = found.result("x", "e", "open", "p")
    assert result.service is not None
    assert (result.response.mean_s, result.service.mean_s) == (0.005, 0.001)


def test_a_sample_gives_the_times_and_its_weight_the_counts() -> None:
    found = recorder("a")
    for second in range(6):
        found.add(Seen(0, second, 1000, count=5), weight=10)
    found.worked(0, 6, 6)
    result = found.result("x", "e", "closed", "p")
    assert (result.sent, result.response.count, result.timed) == (300, 300, 30)
    assert result.series[0].rate == 50


def test_a_clock_that_jumps_gives_no_negative_time() -> None:
    found = recorder("a", rate=1)
    found.add(Seen(0, -5, -20, -30))
    found.add(Seen(0, 1e9, 10, 10))
    found.worked(0, 6, 6)
    assert found.result("x", "e", "open", "p").response.low_s == 0


def test_what_is_so_far_counts_a_sample_of_the_segment_under_way() -> None:
    found = recorder("a")
    found.add(Seen(0, 1, 1000))
    found.pending.update([9000, 9000])
    so_far = found.so_far(2.0)
    assert so_far.response.count == 3
    assert so_far.blocks[0].duration_s == 2.0


@pytest.mark.parametrize("value", [0, 1, 2047, 2048, 123_456, 10**9])
def test_rounding_stays_within_a_thousandth(value: int) -> None:
    assert 0 <= value - rounded(value) <= value / 1024
