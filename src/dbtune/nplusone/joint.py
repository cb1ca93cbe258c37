"""Which of several causes a count follows, when it follows more than one: regression on all of them at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dbtune.nplusone.fit import Counts, slopes_of, weights_of

ENTERS = 0.05
"""A cause is taken up when its share of the fit is rarer than this by chance, and given up when it is not."""
MOST_TERMS = 6
FREEDOM = 2
"""Windows to spare over the causes, at least: with as many causes as windows everything fits."""
EXACT_NOISE = 0.05
"""Residuals are taken for no smaller than this share of what independent single calls would leave: requests are cut
by a snapshot, so nothing is as certain as a residual of zero says."""

SWEEPS = 100
REST = -1
"""The group of what comes in every window alike."""


@dataclass(frozen=True, slots=True)
class Term:
    """A possible cause. Of one `group` only one is taken: they are ways to count the same rows."""

    counts: tuple[float, ...]
    group: int


@dataclass(frozen=True, slots=True)
class Part:
    """A cause that was taken: `at` is its place among the terms.

    `share`: of what the others leave unexplained, how much it explains (partial R²). `chance` that unrelated counts
    would explain as much. `error` is the standard error of the slope.
    """

    at: int
    slope: float
    share: float
    chance: float
    error: float


def regress(counts: Counts, terms: Sequence[Term]) -> tuple[Part, ...]:
    """Takes up one cause after the other, the one that explains most first, and gives up those made needless.

    Least squares, weighted by the size of each window, no slope below zero (Lawson and Hanson 1974); a cause's share
    is judged by the t test of its slope.
    """
    chosen: list[int] = []
    while len(chosen) < min(MOST_TERMS, len(counts) - FREEDOM):
        best = _next(counts, terms, chosen)
        if best is None:
            break
        kept = [at for at in (*chosen, best) if _part(counts, terms, (*chosen, best), at).chance <= ENTERS]
        if len(kept) <= len(chosen):
            # One for one: from here it would go in circles.
            chosen = kept
            break
        chosen = kept
    # A list explains the mean of whatever is asked at all; as a cause it has to explain how the windows differ.
    rest = [at for at, term in enumerate(terms) if term.group == REST and at not in chosen]
    parts = [_part(counts, terms, (*chosen, *rest), at) for at in (*chosen, *rest)]
    return tuple(part for part in parts if part.slope > 0)


def _next(counts: Counts, terms: Sequence[Term], chosen: Sequence[int]) -> int | None:
    """The cause that explains most of what is left; what comes in every window alike only when no other is left."""
    taken = {terms[at].group for at in chosen}
    open_ = [at for at, term in enumerate(terms) if term.group not in taken]
    for tried in ([at for at in open_ if terms[at].group != REST], [at for at in open_ if terms[at].group == REST]):
        best = min(tried, key=lambda at: _left(counts, [terms[one] for one in (*chosen, at)])[0], default=None)
        if best is not None and _part(counts, terms, (*chosen, best), best).chance <= ENTERS:
            return best
    return None


def left_over(counts: Counts, terms: Sequence[Term]) -> float:
    """The weighted sum of squared residuals, no smaller than noise. Independent single calls leave one per window."""
    return max(_left(counts, terms)[0], EXACT_NOISE * (len(counts) - len(terms)))


def jump(counts: Counts, terms: Sequence[Term]) -> float:
    """How many calls come at once, if the rest of each window is independent of the next: half of the squared steps
    from window to window, over the mean (von Neumann 1941). A rate that drifts hardly moves it;
    independent single calls give 1.
    """
    columns = [term.counts for term in terms]
    slopes = slopes_of(counts, columns)
    left = [
        math.sqrt(weight)
        * (real - math.fsum(slope * column[at] for slope, column in zip(slopes, columns, strict=True)))
        for at, (real, weight) in enumerate(zip(counts, weights_of(counts), strict=True))
    ]
    return math.fsum((late - early) ** 2 for early, late in pairwise(left)) / (2 * (len(left) - 1))


def left_over_at_most_once(counts: Counts, terms: Sequence[Term], *, rest: Term) -> float:
    """The same when nothing may count more than once, but for `rest`: least squares within bounds, by coordinates."""
    columns, bounds = [*(term.counts for term in terms), rest.counts], [1.0] * len(terms) + [math.inf]
    weights = weights_of(counts)
    slopes = [0.0] * len(columns)
    residual = list(map(float, counts))
    for _ in range(SWEEPS):
        for place, column in enumerate(columns):
            size = math.fsum(weight * one * one for weight, one in zip(weights, column, strict=True))
            if size <= 0:
                continue
            step = math.fsum(w * one * left for w, one, left in zip(weights, column, residual, strict=True)) / size
            slope = min(max(slopes[place] + step, 0.0), bounds[place])
            residual = [left - (slope - slopes[place]) * one for left, one in zip(residual, column, strict=True)]
            slopes[place] = slope
    return math.fsum(weight * left * left for weight, left in zip(weights, residual, strict=True))


def _part(counts: Counts, terms: Sequence[Term], chosen: Sequence[int], at: int) -> Part:
    with_it, slopes = _left(counts, [terms[one] for one in chosen])
    without, _ = _left(counts, [terms[one] for one in chosen if one != at])
    spare = len(counts) - len(chosen)
    noise = max(with_it, EXACT_NOISE * spare)
    gained = max(without - noise, 0.0)
    share = gained / (gained + noise)
    slope = slopes[list(chosen).index(at)]
    t = math.sqrt(gained / noise * spare)
    if t <= 0 or slope <= 0:
        return Part(at, slope, 0.0, 1.0, math.inf)
    return Part(at, slope, share, chance_of(t, spare), slope / t)


def _left(counts: Counts, terms: Sequence[Term]) -> tuple[float, tuple[float, ...]]:
    """The weighted sum of squared residuals, and the slopes."""
    columns = [term.counts for term in terms]
    slopes = slopes_of(counts, columns) if columns else ()
    left = 0.0
    for at, (real, weight) in enumerate(zip(counts, weights_of(counts), strict=True)):
        modelled = math.fsum(slope * column[at] for slope, column in zip(slopes, columns, strict=True))
        left += weight * (real - modelled) ** 2
    return left, slopes


def chance_of(t: float, freedom: int) -> float:
    """How likely Student's t is at least so large (one side). Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 or not odd else 0.0
    for step in range(3 if odd else 2, freedom - 1, 2):
        term *= square * (step - 1) / step
        total += term
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return max((1.0 - inside) / 2, 0.0)
