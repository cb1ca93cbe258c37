"""Which set of indexes makes the whole workload cheapest, under limits.

Ways are gone from everything that any plan uses, taking away, and from nothing, adding; from where the best of them
ends indexes are exchanged as long as that helps, then from the others. What could help is guessed from the plans that
are known, and the planner decides. The same input gives the same answer, unless time runs out.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator

from dbtune.advisor.kin import smaller, wider
from dbtune.advisor.prices import Mask, positions
from dbtune.advisor.states import State, States
from dbtune.advisor.trifles import without_trifles

_TRIED = 5
_BREADTHS = (2, 4)
"""How many indexes, and how many smaller ones for each, are looked at where one has to go or to shrink."""
_PAIRED = 6
_NARROWER = 6
_ENOUGH = 1e-5
"""An exchange must make the whole cheaper by this share of it."""
_FAR = 1.01
"""A way that ends so much dearer than the best one is not followed any further."""
_TAKING = 0.9
"""The share of the time by which taking away has to end, with or without answers."""


class Search:
    """`atoms` are sets of candidates that plans use together; `passing` are those that lead to others and may not stay.

    It ends with the best so far when `is_over(1.0)` says that the time is over.
    """

    def __init__(self, states: States, atoms: Iterable[Mask], passing: Mask, is_over: Callable[[float], bool]) -> None:
        self._states = states
        self._passing = passing
        self._atoms = list(dict.fromkeys(atoms))
        self._is_over = is_over
        self._pool: Mask = 0
        for atom in self._atoms:
            self._pool |= atom

    def best(self) -> State:
        """The best set within the limits; the state before where no index helps."""
        first, *others = sorted(self._ways(), key=self._rank)
        best = self._exchange(first)
        near = (self._exchange(way) for way in others if way.total <= best.total * _FAR)
        best = min((self._states.before, best, *near), key=self._rank)
        return without_trifles(self._states, self._staying(self._settled(best)), self._pool, self._is_late)

    def _staying(self, state: State) -> State:
        """With what else is best in the place of those that may not stay."""
        self._pool &= ~self._passing
        passing = state.mask & self._passing
        return self._settled(self._filled(self._states.step(state, remove=passing))) if passing else state

    def _ways(self) -> Iterator[State]:
        """From everything down, looking at fewer and at more smaller indexes; and from nothing up."""
        everything = self._states.step(self._states.before, add=self._pool)
        if self._states.fits(everything):
            yield self._take_away(everything, 0)
            return
        for breadth in _BREADTHS:
            if not self._is_over(_TAKING):
                yield self._add(self._take_away(everything, breadth))
        yield self._add(self._states.before)

    @staticmethod
    def _rank(state: State) -> tuple[float, int, Mask]:
        return state.total, state.size_bytes, state.mask

    def _is_late(self) -> bool:
        return self._is_over(1.0)

    def _settled(self, state: State) -> State:
        """With all prices as they are, and what that has taught; at last with nothing taken for granted."""
        for self._states.is_thorough in (False, True):
            while True:
                state = self._states.settled(state)
                better = self._exchange(self._widened(state))
                if better.mask == state.mask or self._is_late():
                    break
                state = better
        return self._states.settled(better)

    # -- adding -----------------------------------------------------------------------------------------------------

    def _add(self, state: State) -> State:
        """The most gain for each byte first; a guess that comes true is not compared with smaller ones."""
        while True:
            best: tuple[float, State] | None = None
            for guessed, add in self._promising(state, self._pool, by_size=True):
                size = max(self._states.size(add), 1)
                if best is not None and best[0] >= (state.total - guessed) / size:
                    break
                after = self._states.step(state, add=add)
                worth = (state.total - after.total) / size
                if worth > (0.0 if best is None else best[0]):
                    best = (worth, after)
            if best is None:
                return state
            state = best[1]
            if self._is_late():
                return state

    def _promising(self, state: State, pool: Mask, *, by_size: bool) -> list[tuple[float, Mask]]:
        """What could be added, one index or all that a plan uses, with the total guessed; the most promising first."""
        hopeful = self._states.prices.hopeful(state.prices, state.mask)
        useful = functools.reduce(operator.or_, (hope.useful for hope in hopeful.values()), 0)
        ranked = []
        for add in self._additions(state.mask, pool, useful):
            if self._states.fits(state, add):
                guessed = self._states.guessed(state, add, hopeful)
                worth = (state.total - guessed) / (max(self._states.size(add), 1) if by_size else 1)
                if worth > 0:
                    ranked.append((-worth, guessed, add))
        return [(guessed, add) for _, guessed, add in sorted(ranked)[:_TRIED]]

    def _additions(self, mask: Mask, pool: Mask, useful: Mask) -> Iterable[Mask]:
        """What no plan of a term that could be better uses gains nothing by any guess."""
        singles = (1 << bit for bit in positions(pool & ~mask & useful))
        atoms = (atom & ~mask for atom in self._atoms if atom & ~mask & useful and not atom & ~mask & ~pool)
        return dict.fromkeys(itertools.chain(singles, atoms))

    # -- taking away ------------------------------------------------------------------------------------------------

    def _take_away(self, state: State, breadth: int) -> State:
        """What is useless, then what is missed least for each byte."""
        states = self._states
        losses: dict[int, float] = {}
        seen: dict[int, float] = {}
        while not self._is_over(_TAKING):
            for bit in states.chosen(state.mask):
                if bit not in losses:
                    losses[bit] = states.step(state, remove=1 << bit).total - state.total
            seen |= losses
            useless = sum(1 << bit for bit, loss in losses.items() if loss <= 0 and not self._is_used(state, bit))
            harmful = [bit for bit, loss in losses.items() if loss < 0]
            if useless or harmful:
                after = states.step(state, remove=useless or 1 << harmful[0])
            elif states.fits(state) or not losses:
                return state
            else:
                after = self._shrunk(state, losses, breadth)
            losses = self._still_true(losses, state, after)
            state = after
        return self._thrown_away(state, seen)

    def _thrown_away(self, state: State, seen: dict[int, float]) -> State:
        """In haste, without a question more: what was last seen to lose least for each byte, until the rest fits."""
        states = self._states
        worth = {bit: seen.get(bit, 0.0) / states.burden(bit).size_bytes for bit in states.chosen(state.mask)}
        kept: Mask = 0
        for bit in sorted(worth, key=lambda one: (-worth[one], one)):
            if states.fits(states.before, kept | 1 << bit):
                kept |= 1 << bit
        return states.step(state, remove=state.mask & ~kept & ~states.prices.existing)

    @staticmethod
    def _is_used(state: State, bit: int) -> bool:
        return any(price.used >> bit & 1 for price in state.prices)

    @staticmethod
    def _still_true(losses: dict[int, float], before: State, after: State) -> dict[int, float]:
        """Losses of indexes that only serve terms whose plans stayed as they were."""
        touched = 0
        for old, new in zip(before.prices, after.prices, strict=True):
            if old != new:
                touched |= old.used | new.used
        return {bit: loss for bit, loss in losses.items() if after.mask >> bit & 1 and not touched >> bit & 1}

    def _shrunk(self, state: State, losses: dict[int, float], breadth: int) -> State:
        """The step that loses least for each byte: an index less, or a smaller one of its kind in its place."""
        states = self._states
        ranked = sorted((loss / states.burden(bit).size_bytes, bit) for bit, loss in losses.items())
        options = [(ranked[0][0], states.step(state, remove=1 << ranked[0][1]))]
        for _, bit in [] if self._is_late() else ranked[:breadth]:
            for other in smaller(states, bit, self._pool & ~state.mask)[:breadth]:
                after = states.step(state, add=1 << other, remove=1 << bit)
                options.append(((after.total - state.total) / (state.size_bytes - after.size_bytes), after))
        return min(options, key=lambda option: (option[0], option[1].mask))[1]

    # -- exchanging -------------------------------------------------------------------------------------------------

    def _exchange(self, state: State) -> State:
        """Others in the place of some, or of a part of one, as long as that is better."""
        while True:
            after = self._narrowed(self._traded(state))
            if after.mask == state.mask or self._is_late():
                return after
            state = after

    def _traded(self, state: State) -> State:
        """One or two indexes out, others in, as long as that is better."""
        while not self._is_late():
            before = state
            for removed in self._removals(state):
                if not removed & ~state.mask:
                    state = self._swapped(state, removed)
            if state is before:
                break
        return state

    def _swapped(self, state: State, removed: Mask) -> State:
        """Others in the place of these, if some are better: the first that are."""
        if self._is_late():
            return state
        enough = state.total * _ENOUGH
        base = self._states.step(state, remove=removed) if removed else state
        for guessed, add in self._promising(base, self._pool & ~removed, by_size=False):
            if guessed > state.total - enough or self._is_late():
                break
            after = self._filled(self._states.step(base, add=add))
            if after.total < state.total - enough:
                return after
        return state

    def _narrowed(self, state: State) -> State:
        """For each index the smaller one of its kind that loses least for each byte, if the bytes are worth more.

        The largest first. No trade finds these: what comes in is worth it only together with what then fits as well.
        """
        states = self._states
        for bit in sorted(states.chosen(state.mask), key=lambda one: (-states.burden(one).size_bytes, one)):
            if self._is_late() or not state.mask >> bit & 1:
                continue
            options = []
            for other in smaller(states, bit, self._pool & ~state.mask)[:_NARROWER]:
                after = states.step(state, add=1 << other, remove=1 << bit)
                options.append(((after.total - state.total) / (state.size_bytes - after.size_bytes), after))
            if options:
                after = self._filled(min(options, key=lambda option: (option[0], option[1].mask))[1])
                state = after if after.total < state.total * (1 - _ENOUGH) else state
        return state

    def _filled(self, state: State) -> State:
        """With what else fits, as far as the guess goes."""
        for guessed, add in self._promising(state, self._pool, by_size=True):
            if guessed < state.total and self._states.fits(state, add):
                after = self._states.step(state, add=add)
                state = min(state, after, key=lambda one: one.total)
        return state

    def _widened(self, state: State) -> State:
        """Each index exchanged for one with more columns, where that is better.

        The planner is asked about all of these: no guess foresees what a column brings beside indexes with which no
        plan has been seen yet.
        """
        enough = state.total * _ENOUGH
        for bit in self._states.chosen(state.mask):
            holders = [] if self._is_late() else wider(self._states, bit, self._pool & ~state.mask)
            others = (self._states.step(state, add=1 << other, remove=1 << bit) for other in holders)
            best = min(filter(self._states.fits, others), key=lambda one: (one.total, one.mask), default=state)
            if best.total < state.total - enough:
                state = best
        return state

    def _removals(self, state: State) -> list[Mask]:
        """None, each index, and pairs of those that are missed least."""
        states = self._states
        losses = sorted(
            (states.step(state, remove=1 << bit).total - state.total, bit) for bit in states.chosen(state.mask)
        )
        single = [1 << bit for _, bit in losses]
        return [0, *single, *(one | other for one, other in itertools.combinations(single[:_PAIRED], 2))]
