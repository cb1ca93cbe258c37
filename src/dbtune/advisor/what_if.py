"""What the search may ask: what would statements cost if these indexes were there, and those were not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dbtune.advisor.index import IndexDefinition
from dbtune.core.findings import Unexamined
from dbtune.plans.plan import Plan


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that is not there, known to the twin. `pages` include the metapage; `height` counts levels above leaves.

    `reason` says why the planner cannot be asked about it (then the sizes are None); `heuristic` that it can be asked,
    but that its answer rests on no statistics (an expression without any, GIN).
    """

    definition: IndexDefinition
    size_bytes: int | None
    rows: float | None = None
    height: int | None = None
    heuristic: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ExistingIndex:
    """An index of the source, in its table's schema. `definition` is None where the catalog says more than one can.

    `is_droppable` is False behind constraints, foreign keys, replica identity and clustering, of exclusion and unique
    indexes, and of the parts of a partitioned one. `scans` and `last_scan` come from the source's counters, None
    where they were not had.
    """

    schema: str
    name: str
    table: str
    ddl: str
    method: str
    columns: tuple[str | None, ...]
    size_bytes: int
    is_unique: bool
    is_droppable: bool
    kept_because: str | None = None
    definition: IndexDefinition | None = None
    scans: int | None = None
    last_scan: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table's size and its writes since its statistics began, from the source. Counters are None where unknown."""

    schema: str
    name: str
    kind: str
    rows: float
    size_bytes: int
    inserted: int | None = None
    updated: int | None = None
    hot_updated: int | None = None
    deleted: int | None = None
    analyzed: bool = True


@dataclass(frozen=True, slots=True)
class StatementCost:
    """The planner's total cost; None with the reason where the statement cannot be planned.

    `candidates` and `existing` are the indexes that the plan uses; `plan` is its root, as EXPLAIN prints it in JSON.
    """

    total: float | None
    candidates: frozenset[IndexDefinition] = frozenset()
    existing: frozenset[str] = frozenset()
    reason: str | None = None
    plan: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


class WhatIf(Protocol):
    """A statement is SQL text. Where `$1` is left in it, the generic plan is meant.

    Existing indexes are named `"schema"."name"` (core.identifiers.quote). Nothing is ever executed.
    """

    @property
    def planner_version(self) -> int:
        """The major version of the PostgreSQL whose planner answers."""
        ...

    @property
    def tables(self) -> Sequence[TableFacts]: ...

    @property
    def existing(self) -> Sequence[ExistingIndex]: ...

    @property
    def not_examined(self) -> Sequence[Unexamined]:
        """What could not be carried over from the source, and why."""
        ...

    def add(self, definitions: Iterable[IndexDefinition]) -> Sequence[Candidate]:
        """Make candidates known, switched off; in the given order, known ones again. Never raises for one of them."""
        ...

    def set_aside(self, definitions: Iterable[IndexDefinition]) -> None:
        """Candidates that are not going to be asked about: the planner need not look at them. They stay known."""
        ...

    def costs(
        self,
        statements: Sequence[str],
        active: Collection[IndexDefinition] = (),
        dropped: Collection[str] = (),
    ) -> Sequence[StatementCost]:
        """The cost of each with exactly these candidates and without those existing indexes."""
        ...

    def plan(self, statement: str, active: Collection[IndexDefinition] = (), dropped: Collection[str] = ()) -> Plan:
        """Raises Misused with PostgreSQL's complaint."""
        ...
