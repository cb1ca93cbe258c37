"""Indexes that could serve a statement: from how its plan reaches each table, none that is there already.

An index that only its author can imagine is not found here; what is found is judged by the planner afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from dbtune.advisor.access import Access, Condition
from dbtune.advisor.covering import with_include
from dbtune.advisor.existing import is_there
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.keys import EQUAL, LISTED, PATTERNS, RANGES, key_of, lacks_trigrams
from dbtune.advisor.partial import partial_indexes, without_nulls
from dbtune.advisor.sequences import equal_keys, key_sequences, range_keys
from dbtune.advisor.source import Source, Table
from dbtune.advisor.special import special_arm, special_indexes

Confidence = Literal["simulated", "heuristic"]

MOST_PER_ACCESS = 64
"""Candidates for one occurrence of a table; the plainest come first."""
LEAST_PAGES = 3
"""A smaller table is read at once."""
INDEXABLE = ("r", "p", "m")
"""Tables, partitioned tables, materialized views."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`why` in words; `heuristic` where the planner's estimate rests on nothing (GIN and its like)."""

    definition: IndexDefinition
    why: str
    confidence: Confidence = "simulated"


@dataclass(frozen=True, slots=True)
class Proposals:
    """`bundles` are indexes that help only together (the arms of an OR). `notes` say what an extension would allow."""

    single: tuple[Proposal, ...] = ()
    bundles: tuple[tuple[IndexDefinition, ...], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def definitions(self) -> tuple[IndexDefinition, ...]:
        """All of them, each once."""
        listed = [one.definition for one in self.single] + [one for bundle in self.bundles for one in bundle]
        return tuple(dict.fromkeys(listed))


@dataclass(slots=True)
class _Growing:
    single: dict[IndexDefinition, Proposal] = field(default_factory=dict)
    bundles: dict[tuple[IndexDefinition, ...], None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)


def propose(accesses: Iterable[Access], source: Source) -> Proposals:
    """What might serve a statement that reaches its tables in this way; the same input gives the same proposals."""
    growing = _Growing()
    for access in accesses:
        table = source.by_name.get(access.table)
        if table is None or table.kind not in INDEXABLE or is_small(table):
            continue
        if finds_one_row(access, source, table):
            continue
        for proposal in _limited(access, source, table):
            growing.single.setdefault(proposal.definition, proposal)
        for bundle in _bundles(access, source, table):
            growing.bundles.setdefault(bundle)
        for note in _notes(access, source, table):
            growing.notes.setdefault(note)
    return Proposals(tuple(growing.single.values()), tuple(growing.bundles), tuple(growing.notes))


def is_small(table: Table) -> bool:
    """A partitioned table has no pages of its own."""
    return table.kind != "p" and table.pages < LEAST_PAGES


def finds_one_row(access: Access, source: Source, table: Table) -> bool:
    """Whether constants name all columns of a unique index: nothing finds one row faster than that."""
    equal = {one.key.text for one in access.conditions if one.operator == "=" and not one.joins and one.key.is_column}
    return any(
        index.is_unique and index.is_valid and index.predicate is None and {row.column for row in index.keys} <= equal
        for index in source.indexes_of(table)
    )


def _limited(access: Access, source: Source, table: Table) -> list[Proposal]:
    found: dict[IndexDefinition, Proposal] = {}
    for proposal in _proposals(access, source, table):
        if not is_there(proposal.definition, source, table):
            found.setdefault(proposal.definition, proposal)
    return list(found.values())[:MOST_PER_ACCESS]


def _proposals(access: Access, source: Source, table: Table) -> Iterator[Proposal]:
    """Plain ones, then others than B-trees, partial ones, and last those that are covering."""
    plain = [
        Proposal(IndexDefinition(table.schema, table.name, one.keys), one.why)
        for one in key_sequences(access, source, table)
    ]
    yield from plain
    for definition, why, is_heuristic in special_indexes(access, source, table):
        yield Proposal(definition, why, "heuristic" if is_heuristic else "simulated")
    given = (partial_indexes(access, source, table), without_nulls(access, source, table))
    partial = [Proposal(definition, why) for found in given for definition, why in found]
    yield from partial
    for proposal in (*plain, *partial):
        covering = with_include(proposal.definition, access, table)
        if covering is not None:
            yield Proposal(covering, f"{proposal.why}, without reading the table")


def _bundles(access: Access, source: Source, table: Table) -> Iterator[tuple[IndexDefinition, ...]]:
    """One index for each arm of an OR; an arm that is served already needs none."""
    for alternatives in access.alternatives:
        arms = [_arm(arm, source, table) for arm in alternatives]
        if any(arm is None for arm in arms):
            continue
        wanted = tuple(sorted({arm for arm in arms if arm is not None and not is_there(arm, source, table)}))
        if wanted:
            yield wanted


def _arm(arm: tuple[Condition, ...], source: Source, table: Table) -> IndexDefinition | None:
    equal = equal_keys([one for one in arm if one.operator in (*EQUAL, *LISTED)], table)
    ranges = range_keys(arm, source, table)
    keys = (*equal, *(key for key in (ranges[0] if ranges else ()) if key.text not in {one.text for one in equal}))
    if keys:
        return IndexDefinition(table.schema, table.name, keys)
    return next((found for one in arm if (found := special_arm(one, source, table)) is not None), None)


def _notes(access: Access, source: Source, table: Table) -> Iterator[str]:
    for condition in access.conditions:
        if lacks_trigrams(source, table, condition):
            yield (
                f"{table.schema}.{table.name}: a pattern within {condition.key.text} could use a trigram index, "
                "which needs `create extension pg_trgm`"
            )
    if not any(one.operator in EQUAL and key_of(one.key) is not None for one in access.conditions):
        for key in dict.fromkeys(one.key.text for one in access.conditions if _hides_constant(one)):
            yield (
                f"{table.schema}.{table.name}: an index on {key} may help, but the constant in it is not known, as"
                " pg_stat_statements keeps none: ask with the statement as it is written (--queries, --log)"
            )


def _hides_constant(condition: Condition) -> bool:
    """Whether the key would be an expression for an index if the statement were as its author wrote it."""
    key = condition.key
    return "$" in key.text and key_of(key) is None and condition.operator in (*EQUAL, *LISTED, *RANGES, *PATTERNS)
