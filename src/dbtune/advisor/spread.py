"""How often the values of a column occur: the few that ANALYZE lists, and the many that it only met in its sample.

A table's rows are taken as drawn from possible values: one with a share of p in N rows comes as often as a Poisson
distribution of mean N p says, and is met so often in a sample of n rows with the mean n p.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

_STEP = 1.5
"""Ranks are taken together up to so many times the first."""
_ALONE = 1e-3
"""Rows that a value is expected to have, below which it practically never has two."""
_STEEPEST = 4.0
_HALVINGS = 30


class Group(NamedTuple):
    """`number` possible values, each expected in `share` of the rows."""

    number: float
    share: float


@functools.lru_cache(maxsize=4096)
def unlisted(
    common: tuple[float, ...], distinct: float, rows: float, sampled: float, *, is_cut: bool
) -> tuple[Group, ...]:
    """The values that are not among the `common` ones: those of which ANALYZE would have estimated `distinct` in all.

    Its estimator (Haas and Stokes, Duj1: n d / (n - f1 + f1 n / N)) is right where all values are as frequent, and far
    too low where they are not. So the reverse is looked for. Where the list of common values is full (`is_cut`), the
    others go on from its rarest as a power of their rank, else as even as can be. All figures are of rows without NULL.
    """
    left = 1 - sum(common)
    if left * rows < 1:
        return ()
    if not common:
        # All are about as frequent.
        return even(rows, distinct)

    def estimated(groups: Sequence[Group]) -> float:
        return _estimated(len(common), groups, rows, min(sampled, rows))

    if is_cut:

        def steep(power: float) -> tuple[Group, ...]:
            return tuple(falling(len(common), common[-1], left, rows, power))

        if estimated(steep(0.0)) < distinct <= estimated(steep(_STEEPEST)):
            return steep(_bisected(lambda power: estimated(steep(power)), distinct, _STEEPEST))
    limit = math.log(left * rows / _ALONE)
    number = math.exp(_bisected(lambda log: estimated((_even(left, math.exp(log)),)), distinct, limit))
    return (_even(left, number),)


def even(rows: float, distinct: float, share: float = 1.0) -> tuple[Group, ...]:
    """`share` of the rows in so many values as occur, all of them as frequent."""
    rows *= share
    if rows < 1:
        return ()
    if distinct >= rows * (1 - 1e-4):
        return (_even(share, rows / _ALONE),)
    mean = rows / max(distinct, 1.0)
    rate = mean
    for _ in range(60):
        rate = mean * -math.expm1(-rate)
    return (_even(share, rows / max(rate, _ALONE)),)


def occurring(groups: Iterable[Group], rows: float) -> float:
    """How many different values there are among so many rows."""
    return sum(one.number * -math.expm1(-one.share * rows) for one in groups)


@functools.lru_cache(maxsize=4096)
def together(first: tuple[Group, ...], second: tuple[Group, ...], rows: float) -> tuple[Group, ...]:
    """Combinations of two columns that know nothing of each other; what is about as frequent is one group."""
    found: dict[int, tuple[float, float]] = {}
    least = _ALONE / rows
    for one, other in itertools.product(first, second):
        number, share = one.number * other.number, one.share * other.share
        place = math.frexp(max(share, least))[1]
        before = found.get(place, (0.0, 0.0))
        found[place] = (before[0] + number, before[1] + number * share)
    return tuple(Group(number, mass / number) for number, mass in found.values())


def runs(rate: float) -> Iterator[tuple[float, float]]:
    """How likely a value is that has 1, 2, 3 … rows where `rate` are expected; beyond 50 all have as many."""
    if rate < _ALONE:
        yield -math.expm1(-rate), 1.0
        return
    if rate > 50:
        yield 1.0, rate
        return
    weight = math.exp(-rate)
    for run in range(1, int(rate + 12 * math.sqrt(rate)) + 3):
        weight *= rate / run
        yield weight, float(run)


def _even(share: float, number: float) -> Group:
    return Group(number, share / number)


def falling(listed: int, rarest: float, left: float, rows: float, power: float) -> Iterator[Group]:
    """Behind so many listed values the others, rank by rank rarer than the rarest of those, until nothing is left."""
    rank = listed + 0.5
    while left > 0:
        share = rarest * (rank * math.sqrt(_STEP) / listed) ** -power
        number = rank * (_STEP - 1)
        if share * number >= left or share * rows < _ALONE:
            yield Group(left / share, share)
            return
        yield Group(number, share)
        left -= share * number
        rank *= _STEP


def _estimated(listed: int, groups: Iterable[Group], rows: float, sampled: float) -> float:
    """What ANALYZE would say of these: values that it meets, and those of them that it meets once."""
    seen, once = float(listed), 0.0
    for one in groups:
        rate = one.share * sampled
        seen += one.number * -math.expm1(-rate)
        once += one.number * rate * math.exp(-rate)
    return sampled * seen / max(sampled - once + once * sampled / rows, 1.0)


def _bisected(rising: Callable[[float], float], wanted: float, high: float) -> float:
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2
