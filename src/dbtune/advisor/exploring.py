"""Which plans there are to be had: for each term the best one, and what is left when its indexes are not there."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator

from dbtune.advisor.prices import Mask, positions
from dbtune.advisor.states import States

LEAST_GAIN = 0.001
"""A plan that is not cheaper than without any index by this share is none for us."""
MOST_PLANS = 6
_CHAIN = 8


def explore(states: States, pool: Mask, is_late: Callable[[], bool], most: int = MOST_PLANS) -> dict[Mask, None]:
    """Sets of candidates that some term's plan uses together, in a fixed order; the dearest terms first."""
    before = states.before.prices
    order = sorted(
        range(len(before)), key=lambda number: (-before[number].cost * states.prices.terms[number].weight, number)
    )
    atoms: dict[Mask, None] = {}
    for number in order:
        for atom in itertools.islice(_plans(states, number, pool), most):
            atoms[atom] = None
        if atoms and is_late():
            break
    return atoms


def _plans(states: States, number: int, pool: Mask) -> Iterator[Mask]:
    """The sets in the plans of one term: the best, smaller and smaller ones, then the best that lack a part."""
    whole = states.prices.existing | pool
    first = _used(states, number, whole)
    if first is None:
        return
    yield first[1]
    yield from _ever_smaller(states, number, whole, first[1])
    waiting, seen = [(first[0], whole, first[1])], {whole}
    while waiting:
        _, mask, used = heapq.heappop(waiting)
        for bit in positions(used):
            less = mask & ~(1 << bit)
            found = None if less in seen else _used(states, number, less)
            seen.add(less)
            if found is not None:
                yield found[1]
                heapq.heappush(waiting, (found[0], less, found[1]))


def _ever_smaller(states: States, number: int, mask: Mask, used: Mask) -> Iterator[Mask]:
    """Plans that do without the largest of the indexes before, and without all as large."""
    for _ in range(_CHAIN):
        largest = max(states.burden(bit).size_bytes for bit in positions(used))
        mask &= ~sum(1 << bit for bit in states.chosen(mask) if states.burden(bit).size_bytes >= largest)
        found = _used(states, number, mask)
        if found is None:
            return
        used = found[1]
        yield used


def _used(states: States, number: int, mask: Mask) -> tuple[float, Mask] | None:
    """A term's cost and the candidates of its plan, where it has any and they make it cheaper."""
    price = states.prices.price(number, mask)
    used = price.used & ~states.prices.existing
    is_cheaper = price.felt < states.before.prices[number].felt * (1 - LEAST_GAIN)
    return (price.cost, used) if used and is_cheaper else None
