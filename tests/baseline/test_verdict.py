"""Simulations with known truth: how often the verdicts are wrong."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from dbtune.baseline.statistics import Effect, Level, block_effect, drift_between, level_of, paired_effect
from dbtune.baseline.verdict import holm, judge, margin_of, overall

RUNS = 800
MARGIN = margin_of(0.05, share=False)


def blocks(level: float, noise: float = 0.03, count: int = 6) -> list[float]:
    return [level * random.lognormvariate(0, noise) for _ in range(count)]


def heavy_blocks(level: float) -> list[float]:
    """Means of 400 calls whose times have a long tail, and now and then a stall of a hundred calls' length."""
    return [
        level * sum(random.lognormvariate(0, 1.2) for _ in range(400)) / 400
        + (level / 4 if random.gauss() > 1.28 else 0)
        for _ in range(6)
    ]


def simulate(
    ratio: float, *, drift: float, noise: float, make: Callable[[float], list[float]] = blocks, runs: int = RUNS
) -> Counter[str]:
    """Verdicts on sequential captures, each of whose runs has a level of its own."""
    random.seed(20)
    found: Counter[str] = Counter()
    for _ in range(runs):
        before = make(random.lognormvariate(0, drift))
        after = make(ratio * random.lognormvariate(0, drift))
        found[judge(block_effect(before, after, drift_between(noise)), MARGIN, "lower").verdict] += 1
    return found


def test_drift_between_runs_is_not_called_a_change() -> None:
    found = simulate(1.0, drift=0.05, noise=0.05)
    assert (found["improved"] + found["regressed"]) / RUNS <= 0.05


def test_without_an_assumed_noise_the_same_drift_would_fool_us() -> None:
    found = simulate(1.0, drift=0.05, noise=0.0)
    assert (found["improved"] + found["regressed"]) / RUNS > 0.2


def level(values: list[float], sampling: float = 0.0) -> Level:
    return level_of([(0, value) for value in values], sampling)


def test_a_machine_whose_blocks_vary_is_not_trusted_to_hold_its_level() -> None:
    """Blocks that vary by 15 % and wander: their mean is known much worse than 15 % / √6."""
    random.seed(22)
    fooled = 0
    for _ in range(RUNS):
        place, levels = random.gauss(0, 0.15), []
        for _ in range(12):
            levels.append(math.exp(place))
            place = 0.8 * place + random.gauss(0, 0.09)
        effect = block_effect(levels[:6], levels[6:], drift_between(0.05, *map(level, (levels[:6], levels[6:]))))
        fooled += judge(effect, MARGIN, "lower").verdict in ("improved", "regressed")
    assert fooled / RUNS <= 0.05


def test_calls_that_vary_within_a_block_do_not_count_as_a_level_that_moves() -> None:
    sampling = 0.1**2
    random.seed(23)
    found = 0
    for _ in range(RUNS):
        before, after = (blocks(level, 0.1) for level in (1.0, 2.0))
        drift = drift_between(0.05, level(before, sampling), level(after, sampling))
        found += judge(block_effect(before, after, drift), MARGIN, "lower").verdict == "regressed"
    assert found / RUNS > 0.98


def test_what_is_smaller_than_the_noise_gets_no_verdict() -> None:
    assert judge(Effect(0.2, 0.01, math.inf, noise=0.25), MARGIN, "lower").verdict == "inconclusive"
    assert judge(Effect(0.2, 0.01, math.inf, noise=0.1), MARGIN, "lower").verdict == "regressed"


def test_blocks_that_overlap_get_no_verdict_whatever_their_mean() -> None:
    effect = paired_effect([1.0] * 6, [1.01, 1.02, 0.99, 1.02, 1.01, 9.0])
    found = judge(replace(effect, error=0.01), MARGIN, "lower")
    assert (found.verdict, found.reason) == ("inconclusive", "the blocks of both overlap (rank test p=0.16)")


def test_heavy_tails_and_stalls_are_not_called_a_change() -> None:
    found = simulate(1.0, drift=0.05, noise=0.05, make=heavy_blocks, runs=150)
    assert (found["improved"] + found["regressed"]) / 150 <= 0.05


def test_twice_as_fast_is_improved_and_twice_as_slow_regressed() -> None:
    assert simulate(0.5, drift=0.05, noise=0.05)["improved"] == RUNS
    assert simulate(2.0, drift=0.05, noise=0.05)["regressed"] == RUNS


def test_a_fifth_slower_is_never_called_the_same_or_better() -> None:
    found = simulate(1.2, drift=0.05, noise=0.05)
    assert (found["improved"] + found["no_change"]) / RUNS <= 0.01
    assert simulate(1.2, drift=0.01, noise=0.01)["regressed"] / RUNS > 0.95


def test_a_measured_small_noise_lets_sameness_be_claimed() -> None:
    found = simulate(1.0, drift=0.005, noise=0.005, make=lambda level: blocks(level, 0.01))
    assert found["no_change"] / RUNS > 0.95


def test_blocks_that_take_turns_need_no_assumption() -> None:
    random.seed(21)
    found: Counter[str] = Counter()
    for _ in range(RUNS):
        drift = [random.lognormvariate(0, 0.2) for _ in range(6)]
        before = [level * random.lognormvariate(0, 0.01) for level in drift]
        after = [level * random.lognormvariate(0, 0.01) for level in drift]
        found[judge(paired_effect(before, after), MARGIN, "lower").verdict] += 1
    assert found["no_change"] / RUNS > 0.95


@pytest.mark.parametrize(
    ("size", "error", "verdict"),
    [(0.5, 0.01, "regressed"), (-0.5, 0.01, "improved"), (0.0, 0.01, "no_change"), (0.05, 0.02, "inconclusive")],
)
def test_the_interval_decides(size: float, error: float, verdict: str) -> None:
    assert judge(Effect(size, error, math.inf), MARGIN, "lower").verdict == verdict


def test_more_is_better_where_the_figure_says_so() -> None:
    assert judge(Effect(0.5, 0.01, math.inf), MARGIN, "higher").verdict == "improved"


def test_an_open_verdict_says_how_many_blocks_are_missing() -> None:
    effect = Effect(0.15, 0.1, 10, spread=0.2)
    assert judge(effect, MARGIN, "lower").missing == "about 31 blocks a side"


def test_an_assumed_noise_that_hides_the_change_is_named() -> None:
    missing = judge(Effect(0.08, 0.08, 10, spread=0.02, noise=0.05), MARGIN, "lower").missing
    assert missing is not None
    assert "noise between runs" in missing


def test_holm_adjusts_as_in_its_paper() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))


def test_one_regression_outweighs_improvements() -> None:
    assert overall(["improved", "regressed"]) == "regressed"
    assert overall(["no_change", "inconclusive"]) == "inconclusive"
    assert overall([]) == "inconclusive"
