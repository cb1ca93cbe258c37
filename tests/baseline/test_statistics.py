from __future__ import annotations

import math
import random

import pytest

from dbtune.baseline.statistics import (
    Moments,
    block_effect,
    drift_between,
    geometric_mean,
    mean_interval,
    moments_effect,
    paired_effect,
    quantile,
    quantile_interval,
    samples_needed,
)


@pytest.mark.parametrize(("share", "needed"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_a_percentile_needs_so_many_samples_for_a_finite_interval(share: float, needed: int) -> None:
    assert samples_needed(share) == needed
    assert quantile_interval(list(range(needed - 1)), share) is None
    assert quantile_interval(list(range(needed)), share) is not None


def test_the_interval_of_a_percentile_covers_the_truth_19_times_of_20() -> None:
    random.seed(7)
    truth = math.log(20)  # the P95 of an exponential distribution with mean 1
    covered = 0
    for _ in range(600):
        found = quantile_interval(sorted(random.expovariate(1) for _ in range(200)), 0.95)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered / 600 > 0.93


def test_percentiles_are_interpolated_as_k6_does_it() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert quantile([1.0, 2.0], 0.95) == pytest.approx(1.95)


def test_drift_that_both_sides_share_cancels_in_pairs() -> None:
    drift = [1.0, 1.3, 0.8, 1.1, 0.9, 1.2]
    effect = paired_effect(drift, [level * 2 for level in drift])
    assert effect.size == pytest.approx(math.log(2))
    assert effect.error == pytest.approx(0, abs=1e-12)


def test_the_noise_between_runs_widens_an_interval_that_blocks_make_narrow() -> None:
    before, after = [1.0, 1.001, 0.999], [1.1, 1.101, 1.099]
    narrow = block_effect(before, after, drift_between(0.0)).interval()
    wide = block_effect(before, after, drift_between(0.05)).interval()
    assert narrow.low > math.log(1.09)
    assert wide.low < 0 < wide.high


def test_two_snapshots_follow_the_printed_formula() -> None:
    effect = moments_effect(Moments(100, 2.0, 1.0), Moments(400, 1.0, 0.5), 0.05)
    assert effect is not None
    assert effect.size == pytest.approx(math.log(0.5))
    assert effect.error == pytest.approx(math.sqrt(1 / (100 * 4) + 0.25 / 400 + 2 * 0.05**2))


def test_fewer_than_thirty_calls_give_no_effect() -> None:
    assert moments_effect(Moments(29, 1.0, 0.1), Moments(1000, 1.0, 0.1), 0.05) is None


def test_blocks_of_absurdly_different_size_do_not_overflow() -> None:
    found = mean_interval([1e-300, 1e300])
    assert found is not None
    assert math.isfinite(found.high)


def test_means_of_what_is_not_positive_are_not_made_up() -> None:
    assert mean_interval([1.0, 0.0, 2.0]) is None
    assert geometric_mean([]) is None
    assert geometric_mean([0.5, 0.0]) is None
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1)
