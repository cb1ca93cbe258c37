"""Sets of indexes within limits, what the workload costs under each, and the way from one to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.prices import Hope, Mask, Price, Prices, positions


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit."""

    budget_bytes: int | None = None
    indexes: int | None = None
    per_table: int | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Burden:
    """What a candidate takes: bytes, and what its writers pay over the time of the workload, in the planner's unit."""

    size_bytes: int
    write_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """A set of indexes: what each term then costs, the weighted sum as it is felt with the indexes' own writes, bytes.

    `cost` is the same sum in the planner's own costs.
    """

    mask: Mask
    prices: tuple[Price, ...]
    total: float
    size_bytes: int
    cost: float


class States:
    """Steps between sets, each asking the planner only about the terms that it can change."""

    def __init__(self, prices: Prices, limits: Limits) -> None:
        self.prices = prices
        self._limits = limits
        self._burdens: dict[int, Burden] = {}
        self._sizes: dict[Mask, int] = {}
        self._is_written = False
        self.is_thorough = False
        first = prices.prices(range(len(prices.terms)), prices.existing)
        self.before = State(prices.existing, tuple(first), self._sum(first, 0), 0, self._planned(first, 0))

    def extend(self, burdens: Mapping[IndexDefinition, Burden]) -> Mask:
        """More candidates; those that no limit would ever let in are left out of the mask."""
        self.prices.extend(burdens)
        allowed = 0
        for definition, burden in burdens.items():
            bit = self.prices.bit(definition)
            self._burdens[bit.bit_length() - 1] = burden
            self._is_written |= burden.write_cost > 0
            if self._limits.budget_bytes is None or burden.size_bytes <= self._limits.budget_bytes:
                allowed |= bit
        return allowed

    def chosen(self, mask: Mask) -> list[int]:
        """The candidates of a mask, as positions."""
        return list(positions(mask & ~self.prices.existing))

    def size(self, mask: Mask) -> int:
        """Bytes of the candidates in a mask."""
        known = self._sizes.get(mask)
        if known is None:
            known = self._sizes[mask] = sum(self._burdens[position].size_bytes for position in self.chosen(mask))
        return known

    def burden(self, position: int) -> Burden:
        return self._burdens[position]

    def step(self, state: State, *, add: Mask = 0, remove: Mask = 0) -> State:
        """The state with some indexes more and some less.

        Unless `is_thorough`, only terms are asked about of which some plan that is known uses what is added: for the
        others the price stays, which can only be too high. `settled` asks about all.
        """
        mask = (state.mask & ~remove) | add
        served = (self.prices.concerned(add) if self.is_thorough else self.prices.served(add)) if add else ()
        changed = sorted({*served, *(number for number, price in enumerate(state.prices) if price.used & remove)})
        return self._repriced(state, mask, changed)

    def settled(self, state: State) -> State:
        """The same set, with every term's price as the planner has it."""
        return self._repriced(state, state.mask, range(len(state.prices)))

    def _repriced(self, state: State, mask: Mask, changed: Sequence[int]) -> State:
        prices = list(state.prices)
        for number, price in zip(changed, self.prices.prices(changed, mask), strict=True):
            prices[number] = price
        return State(mask, tuple(prices), self._sum(prices, mask), self.size(mask), self._planned(prices, mask))

    def guessed(self, state: State, add: Mask, hopeful: Mapping[int, Hope]) -> float:
        """What the total may be with more indexes, without asking; `hopeful` are the terms that may gain by any."""
        mask = state.mask | add
        gain = 0.0
        for number, hope in hopeful.items():
            if hope.useful & add:
                now = state.prices[number]
                gain += self.prices.terms[number].weight * (now.felt - self.prices.guess(number, now, add, mask, hope))
        return state.total - gain + self._writes(add & ~state.mask)

    def fits(self, state: State, add: Mask = 0) -> bool:
        """Whether the limits allow the state with these more."""
        limits, mask = self._limits, (state.mask | add) & ~self.prices.existing
        if limits.indexes is not None and mask.bit_count() > limits.indexes:
            return False
        if limits.budget_bytes is not None and state.size_bytes + self.size(add & ~state.mask) > limits.budget_bytes:
            return False
        if limits.per_table is None:
            return True
        tables = [self.table(position) for position in positions(mask)]
        return all(tables.count(table) <= limits.per_table for table in tables)

    def table(self, position: int) -> tuple[str, str]:
        definition = self.prices.candidate(position)
        return definition.schema, definition.table

    def _sum(self, prices: Sequence[Price], mask: Mask) -> float:
        read = sum(term.weight * price.felt for term, price in zip(self.prices.terms, prices, strict=True))
        return read + self._writes(mask)

    def _planned(self, prices: Sequence[Price], mask: Mask) -> float:
        read = sum(term.weight * price.cost for term, price in zip(self.prices.terms, prices, strict=True))
        return read + self._writes(mask)

    def _writes(self, mask: Mask) -> float:
        if not self._is_written:
            return 0.0
        return sum(self._burdens[position].write_cost for position in self.chosen(mask))
