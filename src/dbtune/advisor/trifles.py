"""What a set of indexes can do without: an index is a promise to maintain it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from dbtune.advisor.kin import is_shadowed, smaller, wider
from dbtune.advisor.prices import Mask
from dbtune.advisor.states import State, States

SMALLEST_GAIN = 0.001
"""An index must make the workload cheaper by this share of what is left. Extend (Schlosser, Kossmann, Boissier, ICDE
2019) stops at 0.3 %."""
USEFUL_GAIN, SHADOWED_GAIN = 0.05, 0.2
"""An index must make some statement cheaper by this; by the latter where another index begins with its keys, or one
that is there or could be does the work of both.
"""
NOTICED = 10.0
"""In the planner's units, of which a page read at random is four: what gains no call more serves nobody."""
_SMALLER = 2
"""How many smaller ones are looked at for each index."""


def without_trifles(states: States, state: State, pool: Mask, is_late: Callable[[], bool]) -> State:
    """Less those that bring next to nothing; smaller ones, and ones that do the work of two, come out of `pool`."""
    whole = state
    while True:
        trifles = [
            after
            for share, after in _lesser(states, state, pool & ~state.mask, is_late)
            if _is_hardly_dearer(after, state) or _is_unnoticed(after, whole, share)
        ]
        if not trifles:
            return state
        state = min(trifles, key=lambda one: (one.total, one.size_bytes, one.mask))


def _lesser(states: States, state: State, pool: Mask, is_late: Callable[[], bool]) -> Iterator[tuple[float, State]]:
    """Without each index, with a smaller one of its kind, or with one that does the work of two.

    Beside each the share by which no statement must become dearer.
    """
    chosen = states.chosen(state.mask)
    for bit in chosen:
        share = SHADOWED_GAIN if is_shadowed(states, bit, chosen) else USEFUL_GAIN
        yield share, states.step(state, remove=1 << bit)
        for other in [] if is_late() else smaller(states, bit, pool)[:_SMALLER]:
            yield -1.0, states.step(state, add=1 << other, remove=1 << bit)
    wide = {bit: {*wider(states, bit, pool)} for bit in chosen}
    for bit, other in itertools.combinations(chosen, 2):
        for both in sorted(wide[bit] & wide[other]):
            merged = states.step(state, add=1 << both, remove=1 << bit | 1 << other)
            if merged.size_bytes < state.size_bytes:
                yield SHADOWED_GAIN, merged


def _is_unnoticed(lesser: State, whole: State, share: float) -> bool:
    """By no more than a share of any statement's cost, together with all that has gone before."""
    return all(
        new.felt - old.felt <= share * new.felt and new.cost - old.cost <= share * new.cost
        for old, new in zip(whole.prices, lesser.prices, strict=True)
    )


def _is_hardly_dearer(lesser: State, state: State) -> bool:
    """By a trifle of the whole, or by what nobody notices in any call: as it is felt, and as it is planned."""
    is_trifle = lesser.total - state.total < SMALLEST_GAIN * state.total
    if is_trifle and lesser.cost - state.cost < SMALLEST_GAIN * state.cost:
        return True
    return all(
        max(new.felt - old.felt, new.cost - old.cost) < NOTICED
        for old, new in zip(state.prices, lesser.prices, strict=True)
    )
