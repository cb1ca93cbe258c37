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
    """`p` tests "no difference at all", `p_beyond` "no more than the margin". `missing` says what would decide it."""

    verdict: Verdict
    p: float | None = None
    p_beyond: float | None = None
    missing: str | None = None


def margin_of(margin: float, *, share: bool) -> float:
    """The margin on the scale of effects: ln(1 + m), or m points for shares."""
    return margin if share else math.log1p(margin)


def judge(effect: Effect, margin: float, better: Better, *, noise: float = 0.0) -> Judgement:
    """The interval wholly beyond the margin: improved or regressed; wholly inside: no change; else inconclusive."""
    interval = effect.interval()
    worse = 1 if better == "lower" else -1
    error = effect.error_inward
    if error == 0:
        beyond = abs(effect.size) > margin
        p = p_beyond = 0.0 if beyond else 1.0
    else:
        p = min(1.0, 2 * t_tail(abs(effect.size) / error, effect.df))
        p_beyond = min(1.0, 2 * t_tail((abs(effect.size) - margin) / error, effect.df))
    if interval.low > margin or interval.high < -margin:
        grew = interval.low > margin
        return Judgement("regressed" if grew == (worse == 1) else "improved", p, p_beyond)
    if -margin < interval.low and interval.high < margin:
        return Judgement("no_change", p, p_beyond)
    return Judgement("inconclusive", p, p_beyond, _missing(effect, margin, noise))


def _missing(effect: Effect, margin: float, noise: float) -> str | None:
    """How many blocks a side would decide, if the effect is what it seems to be."""
    distance = abs(abs(effect.size) - margin)
    if distance == 0:
        return "another margin: the change lies on this one"
    reach = (distance / t_quantile(0.5 + CONFIDENCE / 2, math.inf)) ** 2
    drift = 2 * noise**2
    if reach <= drift:
        return f"a measured --noise between runs: the {noise:.1%} assumed hide such a change"
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
