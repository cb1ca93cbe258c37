"""What a workload costs under any set of indexes, asking the planner as rarely as can be.

A set of indexes is a bit mask. The planner takes the cheapest plan it sees, so one answer settles many questions: a
plan found with the indexes A that uses only U stays the best one for every set between U and A (the observation behind
INUM: Papadomanolakis, Dash, Ailamaki, VLDB 2007).
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbtune.advisor.cached import Cache, Felt
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.what_if import StatementCost, WhatIf

Mask = int
"""The first bits are existing indexes that may be dropped, the others candidates in the order of their arrival."""

NEARLY = 0.999
"""Costs that differ by less are the same: the planner itself takes plans within 1 % for equal (STD_FUZZ_FACTOR)."""

_WORD = re.compile(r"[^\W\d][\w$]*")


@dataclass(frozen=True, slots=True)
class Term:
    """One text of a statement. `weight` is how often it is called; `tables` are those that its plan reads.

    `statement` numbers the statement that it belongs to.
    """

    sql: str
    weight: float
    statement: int
    tables: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Price:
    """The planner's cost of one call, and which indexes of the mask its plan uses.

    `felt` is what the plan costs where pages lie in memory (advisor.cached): the planner chooses by `cost`, and is
    foreseen by it; what it chose is judged by `felt`.
    """

    cost: float
    used: Mask
    felt: float


@dataclass(frozen=True, slots=True)
class Hope:
    """What plans of a term use at all, and what they need beyond a set: see `_Known.missing`."""

    useful: Mask
    needs: Mapping[Mask, float]

    def felt(self, add: Mask) -> float | None:
        """The cheapest plan that needs nothing but `add`, as it is felt."""
        if not add & (add - 1):
            return self.needs.get(add)
        beyond = ~add
        return next((felt for need, felt in self.needs.items() if not need & beyond), None)


@dataclass(slots=True)
class _Known:
    """The answers for one term: for each set asked, what it cost. `reach` are the indexes that could matter to it.

    `plans` are the different plans, each by its cost, the indexes it uses and how it is felt, the cheapest first;
    `useful` are all of those indexes together, `least` the best that any plan is felt to cost; `bare` is its plan
    without any candidate.
    """

    words: frozenset[str]
    reach: Mask
    answers: dict[Mask, Price] = field(default_factory=dict)
    plans: list[tuple[float, Mask, float]] = field(default_factory=list)
    useful: Mask = 0
    least: float = math.inf
    bare: Felt | None = None

    def learn(self, mask: Mask, price: Price) -> None:
        self.answers[mask & self.reach] = price
        plan = (price.cost, price.used, price.felt)
        place = bisect.bisect_left(self.plans, plan)
        if place == len(self.plans) or self.plans[place] != plan:
            self.plans.insert(place, plan)
        self.useful |= price.used
        self.least = min(self.least, price.felt)

    def of(self, mask: Mask) -> Price | None:
        asked = mask & self.reach
        exact = self.answers.get(asked)
        if exact is not None:
            return exact
        price = self._beneath(asked)
        if price is not None:
            self.answers[asked] = price
        return price

    def _beneath(self, asked: Mask) -> Price | None:
        """A set that holds this one has the same plan, or one that costs nearly what a plan allowed here costs."""
        floor = 0.0
        for known, price in self.answers.items():
            if not asked & ~known:
                if not price.used & ~asked:
                    return price
                floor = max(floor, price.cost)
        cheapest = self.cheapest(asked)
        if cheapest is None or cheapest[0] * NEARLY > floor:
            return None
        return Price(*cheapest)

    def cheapest(self, mask: Mask) -> tuple[float, Mask, float] | None:
        """The cheapest plan known that needs nothing but `mask`."""
        beyond = ~mask
        return next((plan for plan in self.plans if not plan[1] & beyond), None)

    def missing(self, mask: Mask) -> dict[Mask, float]:
        """What plans need beyond `mask`, with how the cheapest that needs just this is felt; the cheapest first."""
        beyond = ~mask
        found: dict[Mask, float] = {}
        for _, used, felt in self.plans:
            if need := used & beyond:
                found.setdefault(need, felt)
        return found


class Prices:
    """Asks `what_if` about `terms` under sets of indexes; remembers every answer."""

    def __init__(
        self,
        what_if: WhatIf,
        terms: Sequence[Term],
        droppable: Mapping[str, tuple[str, str]] | None = None,
        cache: Cache | None = None,
    ) -> None:
        """`droppable` are existing indexes by their quoted names, with their tables."""
        self._what_if = what_if
        self._cache = cache
        self.terms = tuple(terms)
        self._droppable = dict(droppable or {})
        self._members: list[IndexDefinition | str] = list(self._droppable)
        self._bit_of = {member: 1 << position for position, member in enumerate(self._members)}
        self.existing: Mask = (1 << len(self._members)) - 1
        self._known = [_Known(words_of(term.sql), 0) for term in self.terms]
        for term, known in zip(self.terms, self._known, strict=True):
            known.reach = sum(self._bit_of[name] for name, table in self._droppable.items() if table in term.tables)
        self.effort = 0
        """Questions so far, each as large as the join it plans: the same on every machine, where time is not."""

    def extend(self, candidates: Iterable[IndexDefinition]) -> Mask:
        """Makes more candidates known; answers that were given stay true, as none of these was there."""
        added = 0
        for candidate in candidates:
            bit = self._bit_of.setdefault(candidate, 1 << len(self._members))
            if bit == 1 << len(self._members):
                self._members.append(candidate)
            for term, known in zip(self.terms, self._known, strict=True):
                if _could_matter(candidate, term.tables, known.words):
                    known.reach |= bit
            added |= bit
        return added

    def bit(self, member: IndexDefinition | str) -> Mask:
        return self._bit_of[member]

    def candidate(self, position: int) -> IndexDefinition:
        member = self._members[position]
        if isinstance(member, str):
            raise TypeError(f"bit {position} is the existing index {member}")
        return member

    def candidates(self, mask: Mask) -> list[IndexDefinition]:
        """Those in a mask, in their own order."""
        return [self.candidate(position) for position in positions(mask & ~self.existing)]

    def concerned(self, mask: Mask) -> list[int]:
        """The terms to which any of these indexes could matter."""
        return [number for number, known in enumerate(self._known) if known.reach & mask]

    def served(self, mask: Mask) -> list[int]:
        """The terms of which some known plan uses any of these."""
        return [number for number, known in enumerate(self._known) if known.useful & mask]

    def hopeful(self, now: Sequence[Price], mask: Mask) -> dict[int, Hope]:
        """The terms of which a plan is known that is felt to be better than now, with `mask`."""
        return {
            number: Hope(known.useful, known.missing(mask))
            for number, (known, price) in enumerate(zip(self._known, now, strict=True))
            if known.least < price.felt
        }

    def price(self, term: int, mask: Mask) -> Price:
        """One term under a set."""
        return self.prices((term,), mask)[0]

    def prices(self, terms: Sequence[int], mask: Mask) -> list[Price]:
        """Several terms under one set: whatever is not known is asked at once."""
        found = [self._known[term].of(mask) for term in terms]
        missing = [term for term, price in zip(terms, found, strict=True) if price is None]
        if not missing:
            return [price for price in found if price is not None]
        fresh = dict(zip(missing, self._ask(missing, mask), strict=True))
        return [price if price is not None else fresh[term] for term, price in zip(terms, found, strict=True)]

    def guess(self, term: int, now: Price, add: Mask, mask: Mask, hope: Hope) -> float:
        """What a term may cost with `add` more, `mask` in all, unasked: what the plans that use it cost by themselves.

        Together with what `now` uses they may be cheaper still: the shares that each leaves of the cost without any
        index are multiplied. Never below the cheapest plan of all. What was asked already is known, not guessed.
        """
        known = self._known[term]
        answered = known.answers.get(mask & known.reach)
        if answered is not None:
            return answered.felt
        alone = hope.felt(add)
        bare = known.answers.get(self.existing & known.reach)
        if bare is None or alone is None:
            return now.felt
        together = now.felt * min(alone / bare.felt, 1.0) if bare.felt else now.felt
        return max(known.least, min(now.felt, alone, together))

    def _ask(self, terms: Sequence[int], mask: Mask) -> Iterator[Price]:
        # Only what matters to one of them is switched on: each index more is one more for the planner to look at.
        matters = 0
        for term in terms:
            matters |= self._known[term].reach
        self.effort += sum(1 + len(self.terms[term].tables) for term in terms)
        answers = self._what_if.costs(
            [self.terms[term].sql for term in terms],
            active=self.candidates(mask & matters),
            dropped=[name for name in self._droppable if not mask & self._bit_of[name]],
        )
        for term, answer in zip(terms, answers, strict=True):
            cost = answer.total if answer.total is not None else math.inf
            price = Price(cost, self._mask_of(answer), self._felt(term, mask, answer, cost))
            self._known[term].learn(mask, price)
            yield price

    def _felt(self, term: int, mask: Mask, answer: StatementCost, cost: float) -> float:
        if self._cache is None or not answer.plan:
            return cost
        known, felt = self._known[term], self._cache.felt(answer.plan)
        if not (mask ^ self.existing) & known.reach:
            known.bare = felt
        return felt.cost if known.bare is None else felt.beside(known.bare)

    def _mask_of(self, answer: StatementCost) -> Mask:
        members: list[IndexDefinition | str] = [*answer.candidates, *(answer.existing & self._droppable.keys())]
        return sum(self._bit_of[member] for member in members)


def words_of(sql: str) -> frozenset[str]:
    """Everything in a text that could be a name."""
    return frozenset(word.lower() for word in _WORD.findall(sql))


def _could_matter(index: IndexDefinition, tables: Collection[tuple[str, str]], words: frozenset[str]) -> bool:
    """Whether a statement that reads these tables could use the index: its first key must be spoken of.

    Where the text does not name the table (a view, a partition), any index of a table in the plan could.
    """
    named = index.table.lower() in words
    if not named and (index.schema, index.table) not in tables:
        return False
    return not named or bool(words_of(index.keys[0].text) & words)


def positions(mask: Mask) -> Iterator[int]:
    """The numbers of the bits that are set, rising."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
