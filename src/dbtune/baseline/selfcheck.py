"""A/A tests: the same state measured twice, again and again. A verdict of "improved" or "regressed" is false there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dbtune.baseline import statistics
from dbtune.baseline.capture import Capture
from dbtune.baseline.comparison import compare
from dbtune.baseline.verdict import DEFAULT_NOISE, Verdict

SCHEMA = "dbtune.baseline.selfcheck/1"
PROMISE = 0.05
"""The most false verdicts that may be."""
_FARTHEST = 1.96 * math.sqrt(2)


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """`runs` A/A comparisons. `noise_measured`: how much a run's level varies, from other captures than those.

    `noise_used` is what the verdicts were given. `false_metrics` of `judged_metrics` got a false verdict one by one;
    a run counts as false where its verdict on the whole is.
    """

    target: str
    started_at: datetime
    duration_s: float
    runs: int
    calibration_runs: int
    false_verdicts: int
    judged_metrics: int
    false_metrics: int
    noise_measured: float
    noise_used: float
    margin: float
    verdicts: dict[Verdict, int]
    probes: tuple[str, ...]

    @property
    def visible_change(self) -> float:
        """The smallest slowdown between two runs one after the other that is found here 19 times of 20, as a share.

        Its interval, which lies up to 1.64 errors off, has to clear what is not worth a verdict.
        """
        error = math.sqrt(2) * self.noise_used
        return math.expm1(max(math.log1p(self.margin), self.noise_used) + (1.96 + 1.645) * error)

    @property
    def false_verdict_rate(self) -> float:
        return self.false_verdicts / self.runs

    @property
    def ok(self) -> bool:
        return self.false_verdict_rate <= PROMISE


def measure_noise(captures: Sequence[Capture]) -> float:
    """How much a run's level varies: the standard deviation of ln medians, of what varies most among all timed.

    At least what the two levels farthest apart would need to be no change (they differ by 1.96·√2 standard deviations
    in one pair of twenty): a machine that is slow now and then has a small deviation, and a heavy tail. 0 with fewer
    than two captures.
    """
    levels: dict[str, list[float]] = {}
    for capture in captures:
        for timing in capture.timings:
            if timing.values_s and min(timing.values_s) > 0:
                levels.setdefault(timing.name, []).append(math.log(statistics.median(timing.values_s)))
    groups = [group for group in levels.values() if len(group) > 1]
    return max((_noise_of(group) for group in groups), default=0.0)


def _noise_of(levels: Sequence[float]) -> float:
    return max(math.sqrt(statistics.variance(levels)), (max(levels) - min(levels)) / _FARTHEST)


def judge_pairs(
    calibration: Sequence[Capture],
    pairs: Sequence[tuple[Capture, Capture]],
    *,
    margin: float,
    started_at: datetime,
    duration_s: float,
) -> SelfCheck:
    """The noise comes from `calibration` (never less than the default), the false verdicts from `pairs`."""
    measured = measure_noise(calibration)
    noise = max(measured, DEFAULT_NOISE)
    found = [compare(one, other, margin=margin, noise=noise, started_at=started_at) for one, other in pairs]
    metrics = [
        metric.verdict for comparison in found for metric in comparison.metrics
        if not metric.informative and metric.p_beyond is not None
    ]  # fmt: skip
    verdicts: dict[Verdict, int] = {"improved": 0, "regressed": 0, "no_change": 0, "inconclusive": 0}
    for comparison in found:
        verdicts[comparison.verdict] += 1
    first = pairs[0][0]
    return SelfCheck(
        target=first.target,
        started_at=started_at,
        duration_s=duration_s,
        runs=len(pairs),
        calibration_runs=len(calibration),
        false_verdicts=verdicts["improved"] + verdicts["regressed"],
        judged_metrics=len(metrics),
        false_metrics=sum(verdict in ("improved", "regressed") for verdict in metrics),
        noise_measured=measured,
        noise_used=noise,
        margin=margin,
        verdicts=verdicts,
        probes=tuple(timing.name for timing in first.timings),
    )
