"""Intervals for block means, percentiles and pairs of counters. The replicate is the block, never the single call."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from dbtune.baseline.ranks import Ranks, apart, one_sided_pairs
from dbtune.baseline.student import t_quantile

CONFIDENCE = 0.95
_Z = 1.959963984540054
_LARGEST = 700.0
MIN_CALLS = 30
"""Fewer calls than this on either side of only two snapshots give no verdict."""


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """A change from before to after: `size` is ln(after / before), or a plain difference for shares.

    `error` is its standard error, `df` its degrees of freedom; `spread` the standard deviation of one block.
    `error_above`: the error on the upper side where it is another one than on the lower. `noise` is the standard
    deviation of a run's level that the error holds already; `ranks` what a test over the blocks' ranks says.
    """

    size: float
    error: float
    df: float
    spread: float = 0.0
    error_above: float | None = None
    noise: float = 0.0
    ranks: Ranks | None = None

    @property
    def error_inward(self) -> float:
        """On the side where no change lies."""
        return self.error if self.size >= 0 or self.error_above is None else self.error_above

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        above = self.error if self.error_above is None else self.error_above
        if self.error == 0 and above == 0:
            return Interval(self.size, self.size)
        reach = t_quantile(0.5 + confidence / 2, self.df)
        return Interval(self.size - reach * self.error, self.size + reach * above)


@dataclass(frozen=True, slots=True)
class Level:
    """How the blocks of one run vary, as a variance of ln values, and its degrees of freedom.

    `sampling` is the part of it that comes from the few calls in each block, and says nothing of the run's level.
    """

    variance: float = 0.0
    sampling: float = 0.0
    df: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """The variance of the difference between two runs' levels. `lost` is its part in Satterthwaite's sum."""

    variance: float
    lost: float = 0.0

    @property
    def noise(self) -> float:
        """The standard deviation of one run's level."""
        return math.sqrt(self.variance / 2)


UNKNOWN = Level()


def drift_between(noise: float, before: Level = UNKNOWN, after: Level = UNKNOWN) -> Drift:
    """Each run's level varies by `noise` at least, and at least by as much as its own blocks vary.

    Not by that over the root of their number: neighbours, caches and background work come and go over all spans of
    time, so that the mean of a run varies about as much as a part of it (flicker noise, whose variance averaging does
    not lower: D. W. Allan, Proc. IEEE 54 (1966) 221). Blocks that follow each other are not independent either. What
    chance alone makes of few calls does not count: chi square, its 95 % quantile after Wilson and Hilferty (Proc. Natl.
    Acad. Sci. 17 (1931) 684).
    """
    df = before.df + after.df
    if df:
        blocks, sampling = (
            math.fsum(part * side.df for part, side in zip(parts, (before, after), strict=True)) / df
            for parts in ((before.variance, after.variance), (before.sampling, after.sampling))
        )
        chance = (1 - 2 / (9 * df) + 1.6449 * math.sqrt(2 / (9 * df))) ** 3
        moving = blocks - sampling
        if blocks > sampling * chance and moving > noise**2:
            return Drift(2 * moving, (2 * moving) ** 2 / df)
    return Drift(2 * noise**2)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """The sample variance, by two passes."""
    center = mean(values)
    return math.fsum((value - center) ** 2 for value in values) / (len(values) - 1)


def safe_exp(power: float) -> float:
    """Raise e to a power, at most 1e304: a handful of wildly different blocks must not end in an overflow."""
    return math.exp(min(power, _LARGEST))


def median(values: Sequence[float]) -> float:
    return quantile(sorted(values), 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of sorted values by linear interpolation at share * (n - 1), as k6 does it."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def samples_needed(share: float) -> int:
    """The smallest n with a finite 95 % interval: below it the largest sample may lie under the quantile.

    36 for p90, 72 for p95, 368 for p99, 3688 for p99.9: share ** n <= 0.025.
    """
    far = max(share, 1 - share)
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(far))


def quantile_interval(ordered: Sequence[float], share: float) -> Interval | None:
    """The order-statistic interval: the values at the ranks nq ± 1.96·√(nq(1 - q)). None with too few samples."""
    ranks = quantile_ranks(len(ordered), share)
    return Interval(ordered[ranks[0] - 1], ordered[ranks[1] - 1]) if ranks is not None else None


def quantile_ranks(n: int, share: float) -> tuple[int, int] | None:
    """The ranks, counting from 1, between which the quantile lies with 95 %. None with too few samples."""
    if not 0 < share < 1 or n < samples_needed(share):
        return None
    center, reach = n * share, _Z * math.sqrt(n * share * (1 - share))
    return max(math.floor(center - reach), 1), min(math.ceil(center + reach), n)


def log_errors(value: float, interval: Interval) -> tuple[float, float]:
    """The variances of ln(value) below and above that a 95 % interval around it stands for."""
    below, above = math.log(value / interval.low), math.log(interval.high / value)
    return (below / _Z) ** 2, (above / _Z) ** 2


def log_ratio(after: float, before: float) -> float:
    return math.log(after / before)


def mean_interval(blocks: Sequence[float]) -> Interval | None:
    """The t interval of the geometric mean of positive block values. None below two blocks."""
    if len(blocks) < 2 or min(blocks) <= 0:
        return None
    logs = [math.log(value) for value in blocks]
    half = t_quantile(0.5 + CONFIDENCE / 2, len(logs) - 1) * math.sqrt(variance(logs) / len(logs))
    return Interval(safe_exp(mean(logs) - half), safe_exp(mean(logs) + half))


def paired_effect(before: Sequence[float], after: Sequence[float]) -> Effect:
    """Interleaved blocks: ln ratios per pair, t over the pairs. Drift falls on both sides alike, nothing is assumed."""
    ratios = [math.log(new / old) for old, new in zip(before, after, strict=True)]
    spread = math.sqrt(variance(ratios))
    ranks = one_sided_pairs(ratios)
    return Effect(mean(ratios), spread / math.sqrt(len(ratios)), len(ratios) - 1, spread, ranks=ranks)


def block_effect(before: Sequence[float], after: Sequence[float], drift: Drift) -> Effect:
    """K windows a side, one side after the other: Welch's t over ln block means, with the drift between runs.

    What changes between two runs shows in no block of either; without it 5 % of drift is called a change in half of
    all cases.
    """
    return _welch([math.log(value) for value in before], [math.log(value) for value in after], drift)


def strata_effect(
    before: Sequence[tuple[int, float]], after: Sequence[tuple[int, float]], drift: Drift
) -> Effect | None:
    """As `block_effect` where a load has stages: (stage, value) pairs, each stage compared with itself.

    A block at 100 clients is no replicate of one at 10. None where the stages differ or have too few blocks.
    """
    sides = [_by_stratum(side) for side in (before, after)]
    if sides[0].keys() != sides[1].keys():
        return None
    df = [sum(len(group) - 1 for group in side.values()) for side in sides]
    if min(df) < 2:
        return None
    weights = {stage: len(group) for stage, group in sides[0].items()}
    total = sum(weights.values())
    size = (
        math.fsum(weight * (mean(sides[1][stage]) - mean(sides[0][stage])) for stage, weight in weights.items()) / total
    )
    parts = []
    for side, freedom in zip(sides, df, strict=True):
        pooled = pooled_variance(side.values())
        parts.append(
            (math.fsum((weights[stage] / total) ** 2 * pooled / len(group) for stage, group in side.items()), freedom)
        )
    sampling = math.fsum(part for part, _ in parts)
    lost = math.fsum(part**2 / freedom for part, freedom in parts) + drift.lost
    return Effect(
        size,
        math.sqrt(sampling + drift.variance),
        (sampling + drift.variance) ** 2 / lost if lost > 0 else math.inf,
        math.sqrt(max(part for part, _ in parts) * total),
        noise=drift.noise,
        ranks=apart([(sides[0][stage], sides[1][stage]) for stage in weights]),
    )


def level_of(blocks: Sequence[tuple[int, float]], sampling: float = 0.0) -> Level:
    """How the level of one run moves within its stages, from (stage, value) pairs; `sampling` as in `Level`."""
    groups = _by_stratum(blocks).values()
    df = sum(len(group) - 1 for group in groups)
    return Level(pooled_variance(groups), sampling, df) if df >= 2 else UNKNOWN


def pooled_variance(groups: Collection[Sequence[float]]) -> float:
    """Of several groups, each around its own mean. At least one of them has two values."""
    squares = math.fsum(variance(group) * (len(group) - 1) for group in groups if len(group) > 1)
    return squares / sum(len(group) - 1 for group in groups)


def _by_stratum(side: Sequence[tuple[int, float]]) -> dict[int, list[float]]:
    groups: dict[int, list[float]] = {}
    for stage, value in side:
        groups.setdefault(stage, []).append(math.log(value))
    return groups


def share_effect(before: Sequence[float], after: Sequence[float], noise: float) -> Effect:
    """As `block_effect` for shares between 0 and 1, as a plain difference; `noise` is that of the odds."""
    drift = math.fsum((noise * mean(side) * (1 - mean(side))) ** 2 for side in (before, after))
    # The margin is one of points, where the noise of odds has no say.
    return replace(_welch(before, after, Drift(drift)), noise=0.0)


def _welch(before: Sequence[float], after: Sequence[float], drift: Drift) -> Effect:
    parts = [(variance(side) / len(side), len(side) - 1) for side in (before, after)]
    total = math.fsum(part for part, _ in parts) + drift.variance
    # Welch and Satterthwaite: what is assumed is known, so it has no degrees of freedom to lose.
    lost = math.fsum(part**2 / df for part, df in parts) + drift.lost
    df = total**2 / lost if lost > 0 else math.inf
    spread = math.sqrt(max(variance(before), variance(after)))
    size, ranks = mean(after) - mean(before), apart([(before, after)])
    return Effect(size, math.sqrt(total), df, spread, noise=drift.noise, ranks=ranks)


@dataclass(frozen=True, slots=True)
class Moments:
    """Calls, their mean and their sample standard deviation, of one window."""

    calls: int
    mean: float
    deviation: float


def moments_effect(before: Moments, after: Moments, noise: float) -> Effect | None:
    """Only two snapshots a side: SE² = s1²/(n1·m1²) + s2²/(n2·m2²) + 2τ². None below 30 calls or for a zero mean."""
    if min(before.calls, after.calls) < MIN_CALLS or min(before.mean, after.mean) <= 0:
        return None
    error = 2 * noise**2
    for side in (before, after):
        error += side.deviation**2 / (side.calls * side.mean**2)
    return Effect(math.log(after.mean / before.mean), math.sqrt(error), math.inf, noise=noise)


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """None for no ratios, or where one of them is not positive."""
    if not ratios or min(ratios) <= 0:
        return None
    return math.exp(mean([math.log(ratio) for ratio in ratios]))
