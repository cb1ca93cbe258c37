"""Tests that assume no distribution: do the blocks of both sides lie apart, whatever the means say?

Exact for few blocks (H. B. Mann and D. R. Whitney, Ann. Math. Statist. 18 (1947) 50; F. Wilcoxon, Biometrics Bull. 1
(1945) 80), by the normal distribution for many. Ties count half, and against a difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_EXACT = 1600
"""Pairs of blocks; the normal distribution is as good from there on."""
_EXACT_PAIRS = 60


@dataclass(frozen=True, slots=True)
class Ranks:
    """`p` is two-sided; `least` is the smallest that so few blocks can give."""

    p: float
    least: float

    def disagree(self, alpha: float) -> bool:
        """Whether the blocks do not support a change. With very few of them all must lie apart."""
        return self.p > max(alpha, self.least)


def apart(strata: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Ranks:
    """Mann and Whitney's U, summed over strata that are compared each with itself (the stages of a load)."""
    filled = [(before, after) for before, after in strata if before and after]
    pairs = sum(len(before) * len(after) for before, after in filled)
    above = sum(_wins(before, after) for before, after in filled)
    extreme = min(above, pairs - above)
    if pairs > _EXACT:
        spread = math.sqrt(sum(len(b) * len(a) * (len(b) + len(a) + 1) for b, a in filled) / 12)
        return Ranks(min(1.0, math.erfc((pairs / 2 - extreme - 0.5) / spread / math.sqrt(2))), 0.0)
    counts = [1]
    for before, after in filled:
        counts = _product(counts, _arrangements(len(before), len(after)))
    return _two_sided(counts, extreme)


def one_sided_pairs(differences: Sequence[float]) -> Ranks:
    """Wilcoxon's signed ranks over pairs: do they differ in one direction?"""
    ordered = sorted((value for value in differences if value), key=abs)
    count = len(ordered)
    total = count * (count + 1) // 2
    positive = math.fsum(rank for rank, value in zip(_midranks(ordered), ordered, strict=True) if value > 0)
    extreme = min(positive, total - positive)
    if count > _EXACT_PAIRS:
        spread = math.sqrt(total * (2 * count + 1) / 12)
        return Ranks(min(1.0, math.erfc((total / 2 - extreme - 0.5) / spread / math.sqrt(2))), 0.0)
    counts = [1]
    for rank in range(1, count + 1):
        counts = [low + high for low, high in zip([*counts, *[0] * rank], [*[0] * rank, *counts], strict=True)]
    return _two_sided(counts, extreme)


def _wins(before: Sequence[float], after: Sequence[float]) -> float:
    return math.fsum((new > old) + (new == old) / 2 for old in before for new in after)


def _arrangements(before: int, after: int) -> list[int]:
    """In how many of the equally likely orders U is 0, 1, 2 … (the coefficients of the Gaussian binomial)."""
    counts = [1] + [0] * (before * after)
    for part in range(1, before + 1):
        for place in range(len(counts) - 1, after + part - 1, -1):
            counts[place] -= counts[place - after - part]
        for place in range(part, len(counts)):
            counts[place] += counts[place - part]
    return counts


def _product(one: Sequence[int], other: Sequence[int]) -> list[int]:
    found = [0] * (len(one) + len(other) - 1)
    for place, count in enumerate(one):
        for further, more in enumerate(other):
            found[place + further] += count * more
    return found


def _two_sided(counts: Sequence[int], extreme: float) -> Ranks:
    total = sum(counts)
    return Ranks(min(1.0, 2 * sum(counts[: math.ceil(extreme) + 1]) / total), min(1.0, 2 * counts[0] / total))


def _midranks(ordered: Sequence[float]) -> list[float]:
    """Ranks from 1 by size, sign apart; equal ones share theirs."""
    edges = [0, *(place for place, (a, b) in enumerate(pairwise(ordered), 1) if abs(a) != abs(b)), len(ordered)]
    return [(low + high + 1) / 2 for low, high in pairwise(edges) for _ in range(high - low)]
