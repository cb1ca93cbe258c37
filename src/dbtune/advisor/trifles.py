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
    """Less those that bring next to nothing; smaller ones, and ones that do the work of two, come out of `pool`.

    Of all that could go the least missed goes first, and each after it only if it is a trifle beside what is left.
    """
    whole = state
    while True:
        found = []
        for change in _changes(states, state, pool & ~state.mask, is_late):
            after = states.step(state, add=change[0], remove=change[1])
            if _is_trifle(states, after, state, whole):
                found.append((after.total, after.size_bytes, after.mask, change))
        if not found:
            return state
        for *_, (add, remove) in sorted(found):
            if not remove & ~state.mask and not add & state.mask:
                after = states.step(state, add=add, remove=remove)
                state = after if _is_trifle(states, after, state, whole) else state


def _changes(states: States, state: State, pool: Mask, is_late: Callable[[], bool]) -> Iterator[tuple[Mask, Mask]]:
    """What comes and what goes: nothing or a smaller one for an index, or one that does the work of two."""
    chosen = states.chosen(state.mask)
    for bit in chosen:
        yield 0, 1 << bit
        for other in [] if is_late() else smaller(states, bit, pool)[:_SMALLER]:
            yield 1 << other, 1 << bit
    wide = {bit: {*wider(states, bit, pool)} for bit in chosen}
    for bit, other in itertools.combinations(chosen, 2):
        for both in sorted(wide[bit] & wide[other]):
            yield 1 << both, 1 << bit | 1 << other


def _is_trifle(states: States, lesser: State, state: State, whole: State) -> bool:
    """Whether what the step from `state` to `lesser` loses is worth no index."""
    if lesser.size_bytes >= state.size_bytes:
        return False
    if _is_hardly_dearer(lesser, state):
        return True
    gone, come = state.mask & ~lesser.mask, lesser.mask & ~state.mask
    if come:
        return gone.bit_count() > 1 and _is_unnoticed(lesser, whole, SHADOWED_GAIN)
    is_hidden = is_shadowed(states, gone.bit_length() - 1, states.chosen(state.mask))
    return _is_unnoticed(lesser, whole, SHADOWED_GAIN if is_hidden else USEFUL_GAIN)


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
