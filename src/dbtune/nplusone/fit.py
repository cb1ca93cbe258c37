"""Does one count follow another? Over sub-windows, without a library: six to sixty numbers a side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Counts = Sequence[float]

STEADY = 0.15
"""Below this share of the variation that independent arrivals would show by themselves, load runs like clockwork: then
everything follows everything, and co-variation tells nothing. Calibrated on clocked and random traffic."""


@dataclass(frozen=True, slots=True)
class Regressor:
    """What may cause the calls: `size` is how many calls one event causes at once (rows per call), for the noise."""

    counts: tuple[float, ...]
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """`slopes`, one for each regressor. `strength`: 1 follows exactly, 0 as unrelated counts do; None: steady load."""

    slopes: tuple[float, ...]
    strength: float | None


def fit(counts: Counts, regressors: Sequence[Regressor]) -> Fit:
    """Non-negative weighted least squares through the origin, and how closely it fits.

    Two measures, of which the worse counts. *Spread*: squared residuals over the squared deviations of both sides,
    near 1 for unrelated counts under load that changes its mix. *Dispersion*: squared residuals over the variance that
    independent Poisson arrivals of `size` each would leave, near 1 for unrelated counts that only follow the same
    total load. An N+1 has next to none of either: its counts are equal but for requests cut by a snapshot.
    """
    return strength_of(counts, regressors, slopes_of(counts, [one.counts for one in regressors]))


def strength_of(counts: Counts, regressors: Sequence[Regressor], slopes: tuple[float, ...]) -> Fit:
    """As `fit`, with slopes that are given."""
    modelled = [
        math.fsum(slope * one.counts[at] for slope, one in zip(slopes, regressors, strict=True))
        for at in range(len(counts))
    ]
    residual = math.fsum((real - model) ** 2 for real, model in zip(counts, modelled, strict=True))
    noise = math.fsum(counts) + math.fsum(
        slope**2 * math.fsum(one.counts) * one.size for slope, one in zip(slopes, regressors, strict=True)
    )
    deviation = _deviation(counts) + _deviation(modelled)
    if len(counts) < 3 or noise <= 0 or deviation < STEADY * noise:
        return Fit(slopes, None)
    return Fit(slopes, 1.0 - min(max(residual / deviation, residual / noise), 1.0))


def varies(first: Counts, second: Counts) -> bool:
    """Whether the ratio of the two changes from window to window by more than a hundredth."""
    ratios = [one / other for one, other in zip(first, second, strict=True) if other > 0]
    if len(ratios) < 2:
        return False
    mean = math.fsum(ratios) / len(ratios)
    return mean > 0 and math.sqrt(_deviation(ratios) / len(ratios)) > 0.01 * mean


def _deviation(counts: Counts) -> float:
    mean = math.fsum(counts) / len(counts)
    return math.fsum((count - mean) ** 2 for count in counts)


def slopes_of(counts: Counts, columns: Sequence[Counts]) -> tuple[float, ...]:
    """Alone: the ratio of the totals. Together: least squares, each window weighted by its size; none below zero."""
    if len(columns) == 1:
        total = math.fsum(columns[0])
        return (math.fsum(counts) / total if total > 0 else 0.0,)
    weights = weights_of(counts)
    matrix = [
        [_product(left, right, weights) for right in columns] + [_product(left, counts, weights)] for left in columns
    ]
    solution = _solve(matrix)
    lowest = min(range(len(solution)), key=solution.__getitem__)
    if solution[lowest] >= 0:
        return tuple(solution)
    rest = [one for at, one in enumerate(columns) if at != lowest]
    slopes = list(slopes_of(counts, rest))
    slopes.insert(lowest, 0.0)
    return tuple(slopes)


def weights_of(counts: Counts) -> list[float]:
    """A busy window varies more. Half of it is the mean: what a window has by chance must not make it the surer one."""
    mean = math.fsum(counts) / len(counts)
    return [2.0 / max(count + mean, 2.0) for count in counts]


def _product(left: Counts, right: Counts, weights: Counts) -> float:
    return math.fsum(weight * one * other for weight, one, other in zip(weights, left, right, strict=True))


def _solve(matrix: list[list[float]]) -> list[float]:
    """Gauss and Jordan with pivots; a regressor that the others make up already gets -1, so it is left out."""
    size = len(matrix)
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(matrix[row][at]))
        matrix[at], matrix[best] = matrix[best], matrix[at]
        pivot = matrix[at][at]
        if abs(pivot) < 1e-9:
            return [0.0] * at + [-1.0] + [0.0] * (size - at - 1)
        matrix[at] = [value / pivot for value in matrix[at]]
        for row in range(size):
            if row != at:
                factor = matrix[row][at]
                matrix[row] = [value - factor * own for value, own in zip(matrix[row], matrix[at], strict=True)]
    return [row[-1] for row in matrix]
