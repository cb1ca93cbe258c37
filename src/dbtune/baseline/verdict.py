"""From an effect to one of four verdicts. Only "no change" claims sameness; what is not known is inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dbtune.baseline.capture import Better
from dbtune.baseline.statistics import CONFIDENCE, Effect
from dbtune.baseline.student import t_quantile, t_tail

Verdict = Literal["improved", "regressed", "no_change", "inconclusive"]

DEFAULT_MARGIN = 0.05
DEFAULT_NOISE = 0.05
"""The standard deviation of a run's level where nobody measured it."""

_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """`p` tests "no difference at all", `p_beyond` "no more than the margin". `missing` says what would decide it.

    `reason` is given where the interval alone would have decided.
    """

    verdict: Verdict
    p: float | None = None
    p_beyond: float | None = None
    missing: str | None = None
    reason: str | None = None


def margin_of(margin: float, *, share: bool) -> float:
    """The margin on the scale of effects: ln(1 + m), or m points for shares."""
    return margin if share else math.log1p(margin)


def judge(effect: Effect, margin: float, better: Better) -> Judgement:
    """The interval wholly beyond the margin: improved or regressed; wholly inside: no change; else inconclusive.

    What is smaller than the noise between runs is not worth a verdict: where that is larger than the margin, a change
    must lie beyond it instead. Nor is there one where the blocks' ranks disagree with their means.
    """
    interval = effect.interval()
    least = max(margin, effect.noise)
    p, p_beyond = (_p_value(effect, part) for part in (0.0, least))
    if interval.low > least or interval.high < -least:
        if effect.ranks is not None and effect.ranks.disagree(1 - CONFIDENCE):
            reason = f"the blocks of both overlap (rank test p={effect.ranks.p:.2g})"
            return Judgement("inconclusive", p, max(p_beyond, effect.ranks.p), "more blocks", reason)
        return Judgement("regressed" if (interval.low > least) == (better == "lower") else "improved", p, p_beyond)
    if -margin < interval.low and interval.high < margin:
        return Judgement("no_change", p, p_beyond)
    return Judgement("inconclusive", p, p_beyond, _missing(effect, margin, least))


def _p_value(effect: Effect, least: float) -> float:
    """Of "no difference beyond `least`"."""
    if effect.error_inward == 0:
        return 0.0 if abs(effect.size) > least else 1.0
    return min(1.0, 2 * t_tail((abs(effect.size) - least) / effect.error_inward, effect.df))


def _missing(effect: Effect, margin: float, least: float) -> str | None:
    """How many blocks a side would decide, if the effect is what it seems to be."""
    size, noise = abs(effect.size), effect.noise
    distance = size - least if size > least else abs(size - margin)
    if distance == 0:
        return "another margin: the change lies on this one"
    reach = (distance / t_quantile(0.5 + CONFIDENCE / 2, math.inf)) ** 2
    drift = 2 * noise**2
    if reach <= drift:
        return f"blocks that take turns, or a steadier machine: {noise:.1%} of noise between runs hide such a change"
    if effect.spread == 0:
        return "more samples"
    blocks = math.ceil(2 * effect.spread**2 / (reach - drift))
    return f"about {max(blocks, 3)} blocks a side" if blocks < _MANY else "a steadier load: blocks differ too much"


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values in the order given (Holm, Scand. J. Statist. 6 (1979) 65)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, place in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = running
    return tuple(adjusted)


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """One word for many: a regression outweighs every improvement; sameness must hold everywhere."""
    loud: tuple[Verdict, ...] = ("regressed", "improved")
    for verdict in loud:
        if verdict in verdicts:
            return verdict
    return "no_change" if verdicts and all(verdict == "no_change" for verdict in verdicts) else "inconclusive"
