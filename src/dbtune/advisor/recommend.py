"""From analysed statements to advice: candidates, search, drops, and who gains what."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbtune.advisor.access import Table as TableName
from dbtune.advisor.advice import Drop, Recommendation, Served
from dbtune.advisor.analysis import Analysis
from dbtune.advisor.build_time import build_time_s
from dbtune.advisor.cached import Cache
from dbtune.advisor.candidates import Proposal
from dbtune.advisor.drops import Present, find_drops
from dbtune.advisor.existing import covers, is_begun
from dbtune.advisor.exploring import explore
from dbtune.advisor.index import IndexDefinition, name_apart
from dbtune.advisor.merging import relatives
from dbtune.advisor.partitioned import parts_of
from dbtune.advisor.prices import Mask, Prices, Term
from dbtune.advisor.search import Search
from dbtune.advisor.source import Source
from dbtune.advisor.states import NO_LIMITS, Burden, Limits, State, States
from dbtune.advisor.what_if import Candidate, WhatIf
from dbtune.advisor.writes import table_writes, write_costs
from dbtune.core.identifiers import quote
from dbtune.core.progress import Progress, silent

FIRST_ROUND, SECOND_ROUND = 0.3, 0.5
"""Shares of the time by which all candidates, and then the merged ones, have been looked at."""
MOST_TERMS = 400
"""Texts that the search looks at: the dearest, by their weights."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """What the search found. Costs are sums over all statements that could be planned."""

    recommendations: tuple[Recommendation, ...]
    drops: tuple[Drop, ...]
    cost_before: float
    cost_after: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """All that the advice depends on. The search ends early, with the best answer so far, after `most_effort` (see
    Prices), and where `is_late(0.4)` says that this share of the time is over.
    """

    analyses: Sequence[Analysis]
    what_if: WhatIf
    source: Source
    limits: Limits = NO_LIMITS
    is_late: Callable[[float], bool] = lambda _share: False
    most_effort: float = math.inf


@dataclass(slots=True)
class _Field:
    """Where the search takes place: the candidates that the planner can be asked about, by position."""

    question: Question
    states: States
    candidates: dict[int, Candidate] = field(default_factory=dict)

    def add(self, definitions: Iterable[IndexDefinition]) -> Mask:
        """Those of them that a limit does not shut out."""
        question = self.question
        found = [one for one in question.what_if.add(dict.fromkeys(definitions)) if one.size_bytes is not None]
        costs = write_costs(found, table_writes(question.analyses, question.source), question.source)
        burdens = {one.definition: Burden(one.size_bytes or 0, cost) for one, cost in zip(found, costs, strict=True)}
        allowed = self.states.extend(burdens)
        self.candidates |= {self.states.prices.bit(one.definition).bit_length() - 1: one for one in found}
        return allowed

    def narrow(self, pool: Mask) -> None:
        """Nothing but these will be asked about."""
        others = [one.definition for bit, one in self.candidates.items() if not pool >> bit & 1]
        self.question.what_if.set_aside(others)

    def begun(self) -> Mask:
        """Those that an index begins with that is there."""
        source, found = self.question.source, 0
        for bit, one in self.candidates.items():
            table = source.by_name.get((one.definition.schema, one.definition.table))
            if table is not None and is_begun(one.definition, source, table):
                found |= 1 << bit
        return found


def recommend(question: Question, progress: Progress = silent) -> Recommended:
    """The best set of indexes within the limits."""
    analyses, what_if = question.analyses, question.what_if
    prices = _prices(question)
    field = _Field(question, States(prices, question.limits))

    def is_over(share: float) -> bool:
        return prices.effort > share * question.most_effort or question.is_late(share)

    progress("trying every candidate", 0.1)
    allowed = field.add(_proposed(analyses))
    atoms = explore(field.states, allowed, lambda: is_over(FIRST_ROUND))
    progress("merging candidates", 0.4)
    used = functools.reduce(operator.or_, atoms, 0)
    field.narrow(used)
    merged = field.add(relatives(field.states.prices.candidates(used)))
    atoms |= explore(field.states, used | merged, lambda: is_over(SECOND_ROUND))
    field.narrow(functools.reduce(operator.or_, atoms, 0))
    progress("choosing", 0.6)
    state = Search(field.states, atoms, field.begun(), is_over).best()
    chosen = {bit: field.candidates[bit] for bit in field.states.chosen(state.mask)}
    names = name_apart((one.definition for one in chosen.values()), {index.name for index in what_if.existing})
    drops, after = find_drops(field.states, state, Present(what_if.existing, names, question.source))
    progress("who gains what", 0.9)
    ranked = _ranked(field, after, {bit: names[one.definition] for bit, one in chosen.items()})
    notes = dict.fromkeys(note for analysis in analyses for note in analysis.proposals.notes)
    return Recommended(ranked, drops, field.states.before.cost, after.cost, tuple(notes))


def value(question: Question, kept: Iterable[Recommendation], drops: Sequence[Drop]) -> Recommended:
    """What just these indexes cost and bring, under their names, with those drops."""
    names = {one.definition: one.name for one in kept}
    field = _Field(question, States(_prices(question), NO_LIMITS))
    states = field.states
    wanted = field.add(names)
    gone = functools.reduce(operator.or_, (states.prices.bit(quote(one.schema, one.name)) for one in drops), 0)
    after = states.settled(states.step(states.before, add=wanted, remove=gone))
    ranked = _ranked(field, after, {bit: names[one.definition] for bit, one in field.candidates.items()})
    return Recommended(ranked, tuple(drops), states.before.cost, after.cost, ())


def _ranked(field: _Field, state: State, names: Mapping[int, str]) -> tuple[Recommendation, ...]:
    """Those that are missed most first."""
    made = [_recommendation(field, state, bit, name) for bit, name in names.items()]
    return tuple(sorted(made, key=lambda one: (-one.benefit, one.definition.sort_key)))


def _prices(question: Question) -> Prices:
    what_if = question.what_if
    droppable = _droppable(what_if)
    above = {table: _above(table, question.source) for table in droppable.values()}
    return Prices(what_if, _terms(question.analyses, what_if, above), droppable, Cache.of(question.source))


def _terms(
    analyses: Sequence[Analysis], what_if: WhatIf, above: Mapping[TableName, Collection[TableName]]
) -> list[Term]:
    """The texts that can be planned, the dearest first. Whoever reads what is `above` a partition may use its index."""
    texts = []
    for number, analysis in enumerate(analyses):
        tables = analysis.tables
        tables |= {part for part, wholes in above.items() if not tables.isdisjoint(wholes)}
        weight = analysis.statement.weight
        texts += [Term(one.sql, weight * one.share, number, tables) for one in analysis.statement.variants]
    costs = what_if.costs([term.sql for term in texts])
    priced = [
        (term.weight * cost.total, term) for term, cost in zip(texts, costs, strict=True) if cost.total is not None
    ]
    priced.sort(key=lambda one: (-one[0], one[1].statement, one[1].sql))
    return [term for _, term in priced[:MOST_TERMS]]


def _proposed(analyses: Iterable[Analysis]) -> Iterator[IndexDefinition]:
    for analysis in analyses:
        yield from analysis.proposals.definitions


def _droppable(what_if: WhatIf) -> dict[str, TableName]:
    return {
        quote(index.schema, index.name): (index.schema, index.table)
        for index in what_if.existing
        if index.is_droppable and index.parent is None
    }


def _above(table: TableName, source: Source) -> frozenset[TableName]:
    """What a partition is a part of."""
    found = source.by_name.get(table)
    parents = found.parents if found is not None else ()
    return frozenset(parents).union(*(_above(parent, source) for parent in parents))


def _recommendation(field: _Field, state: State, bit: int, name: str) -> Recommendation:
    question, candidate = field.question, field.candidates[bit]
    # What it takes the place of would still be there without it.
    without = field.states.step(state, remove=1 << bit, add=_replaced(field, state, candidate.definition))
    served = _served(field.states, state, 1 << bit, question.analyses)
    proposal = _proposal(candidate.definition, served, question.analyses)
    is_guess = candidate.heuristic or (proposal is not None and proposal.confidence == "heuristic")
    return Recommendation(
        definition=candidate.definition,
        name=name,
        size_bytes=candidate.size_bytes or 0,
        build_s=build_time_s(candidate, question.source),
        write_cost=field.states.burden(bit).write_cost,
        benefit=without.cost - state.cost,
        queries=served,
        why=proposal.why if proposal is not None else "does the work of several",
        confidence="heuristic" if is_guess else "simulated",
        parts=parts_of(candidate.definition, name, question.source),
    )


def _replaced(field: _Field, state: State, definition: IndexDefinition) -> Mask:
    """The dropped indexes of which it does all the work."""
    prices = field.states.prices
    gone = [
        prices.bit(quote(one.schema, one.name))
        for one in field.question.what_if.existing
        if one.is_droppable and one.parent is None and one.definition and covers(definition, one.definition)
    ]
    return functools.reduce(operator.or_, gone, 0) & ~state.mask


def _proposal(definition: IndexDefinition, served: Iterable[Served], analyses: Iterable[Analysis]) -> Proposal | None:
    """Of the statement that gains most by it, else of any: what it would be for elsewhere is no reason here.

    A statement that has proposed the same keys in the other direction, or without INCLUDE, has a reason as well.
    """
    rank = {one.query: number for number, one in enumerate(served)}
    found = [
        (
            (rank.get(one.statement.text, len(rank)), other != definition, other.include != definition.include),
            proposal,
        )
        for one in analyses
        for proposal in one.proposals.single
        if (other := proposal.definition) == definition or (one.statement.text in rank and _is_alike(other, definition))
    ]
    return min(found, key=lambda one: one[0])[1] if found else None


def _is_alike(one: IndexDefinition, other: IndexDefinition) -> bool:
    same_place = (one.schema, one.table, one.method, one.where) == (
        other.schema, other.table, other.method, other.where,
    )  # fmt: skip
    return same_place and [key.text for key in one.keys] == [key.text for key in other.keys]


def _served(states: States, state: State, bit: Mask, analyses: Sequence[Analysis]) -> tuple[Served, ...]:
    """Statements of which some text's plan uses the index, by what they gain."""
    before: dict[int, float] = {}
    after: dict[int, float] = {}
    uses: set[int] = set()
    for number, term in enumerate(states.prices.terms):
        weight = analyses[term.statement].statement.weight
        # What is never called gains nothing.
        share = term.weight / weight if weight else 0.0
        before[term.statement] = before.get(term.statement, 0.0) + share * states.before.prices[number].cost
        after[term.statement] = after.get(term.statement, 0.0) + share * state.prices[number].cost
        if share and state.prices[number].used & bit:
            uses.add(term.statement)
    served = [_gain(analyses[number], before[number], after[number]) for number in uses]
    return tuple(sorted(served, key=lambda one: (one.calls * (one.cost_after - one.cost_before), one.query)))


def _gain(analysis: Analysis, before: float, after: float) -> Served:
    statement = analysis.statement
    return Served(statement.text, statement.weight, before, after, statement.queryid, statement.place)
