"""Latencies to be judged: exact values of a few hundred calls, or a histogram of millions, asked the same way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dbtune.baseline import histogram as histograms
from dbtune.baseline import statistics
from dbtune.baseline.histogram import Histogram
from dbtune.baseline.statistics import Interval, Level


class Sample(Protocol):
    """Times of calls, in seconds."""

    @property
    def count(self) -> int: ...

    def quantile(self, share: float) -> float | None:
        """None without a call; a share of 1 is the maximum, 0 the minimum."""

    def interval(self, share: float) -> Interval | None:
        """The order-statistic interval; None with too few calls for a finite one."""

    def mean(self) -> float | None: ...

    def points(self) -> tuple[float, ...]:
        """At most 200 of the sorted values, evenly by rank, for a chart."""


@dataclass(frozen=True, slots=True)
class Values:
    """Every single time, sorted."""

    ordered: tuple[float, ...]

    @property
    def count(self) -> int:
        return len(self.ordered)

    def quantile(self, share: float) -> float | None:
        return statistics.quantile(self.ordered, share) if self.ordered else None

    def interval(self, share: float) -> Interval | None:
        return statistics.quantile_interval(self.ordered, share)

    def mean(self) -> float | None:
        return statistics.mean(self.ordered) if self.ordered else None

    def points(self) -> tuple[float, ...]:
        most, last = 200, len(self.ordered) - 1
        if last < most:
            return self.ordered
        return tuple(self.ordered[round(place * last / (most - 1))] for place in range(most))


@dataclass(frozen=True, slots=True)
class Counted:
    """A histogram. `timed`: how many independent times it rests on, where each of those stands for several calls."""

    histogram: Histogram
    timed: int | None = None

    @property
    def count(self) -> int:
        """What an interval may rest on."""
        return self.histogram.count if self.timed is None else self.timed

    def quantile(self, share: float) -> float | None:
        return histograms.quantile(self.histogram, share)

    def interval(self, share: float) -> Interval | None:
        ranks = statistics.quantile_ranks(self.count, share)
        if ranks is None:
            return None
        return Interval(*(histograms.value_at_rank(self.histogram, self._among_all(rank)) for rank in ranks))

    def _among_all(self, rank: int) -> int:
        """The rank among the calls of one among the times that stand for them."""
        return rank if self.timed is None else math.ceil(rank * self.histogram.count / self.timed)

    def mean(self) -> float | None:
        return self.histogram.mean_s if self.count else None

    def points(self) -> tuple[float, ...]:
        return histograms.sample(self.histogram)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: all calls together, and block by block.

    `strata` says which part of the profile each block belongs to (the stage of a load): blocks are replicates of
    their own stage only.
    """

    whole: Sample
    blocks: tuple[Sample, ...]
    strata: tuple[int, ...]
    engine: str


def side_of_values(blocks: Sequence[Sequence[float]], engine: str) -> Side:
    parts = [tuple(sorted(block)) for block in blocks if block]
    whole = tuple(sorted(value for block in parts for value in block))
    return Side(Values(whole), tuple(Values(part) for part in parts), (0,) * len(parts), engine)


def side_of_histograms(blocks: Sequence[tuple[int, Histogram, int | None]], engine: str) -> Side:
    """`blocks` are (stage, histogram, of how many times it is a sample: None where all were timed)."""
    filled = [block for block in blocks if block[1].count]
    return Side(
        whole=Counted(histograms.merge(part for _, part, _ in filled), _independent(filled)),
        blocks=tuple(Counted(part, timed) for _, part, timed in filled),
        strata=tuple(stage for stage, _, _ in filled),
        engine=engine,
    )


def _independent(blocks: Sequence[tuple[int, Histogram, int | None]]) -> int | None:
    """Blocks of which a different part was timed weigh differently: (Σn)² / Σ(n²/timed) times are as good (Kish)."""
    if all(timed is None for _, _, timed in blocks):
        return None
    squares = math.fsum(part.count**2 / (timed or part.count) for _, part, timed in blocks)
    return int(sum(part.count for _, part, _ in blocks) ** 2 / squares)


def spread_of(side: Side, share: float) -> tuple[float, int]:
    """The variance of the mean of ln quantiles of the blocks, within their strata, and its degrees of freedom.

    (0, 0) where there are too few blocks to tell.
    """
    blocks = block_quantiles(side, share)
    if any(value <= 0 for _, value in blocks):
        return 0.0, 0
    level = statistics.level_of(blocks)
    return (level.variance / len(blocks), level.df) if level.df else (0.0, 0)


def block_quantiles(side: Side, share: float) -> list[tuple[int, float]]:
    """(stratum, quantile) of each block."""
    found = [(stratum, block.quantile(share)) for stratum, block in zip(side.strata, side.blocks, strict=True)]
    return [(stratum, value) for stratum, value in found if value is not None]


def level_of_side(side: Side) -> Level:
    """How the run's level moves: ln medians of its blocks, less what the few calls in each explain.

    The error of a median of n calls is half the distance between the quantiles at 0.5 ± 0.5/√n.
    """
    medians = block_quantiles(side, 0.5)
    if any(value <= 0 for _, value in medians):
        return statistics.UNKNOWN
    errors = [_median_variance(block) for block in side.blocks if block.count]
    return statistics.level_of(medians, statistics.mean(errors) if errors else 0.0)


def _median_variance(block: Sample) -> float:
    reach = 0.5 / math.sqrt(block.count)
    low, high = block.quantile(0.5 - reach), block.quantile(0.5 + reach)
    return (math.log(high / low) / 2) ** 2 if low and high else 0.0
