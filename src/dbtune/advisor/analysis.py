"""From statements to what the search works on: how each reaches its tables, typical values, and candidates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dbtune.advisor.access import Access, Table
from dbtune.advisor.candidates import Proposals, propose
from dbtune.advisor.reading import read_accesses
from dbtune.advisor.source import Source
from dbtune.advisor.texts import words_of
from dbtune.advisor.values import LEVELS, with_typical_values
from dbtune.advisor.what_if import WhatIf
from dbtune.advisor.workload import Statement, Variant, Workload, without
from dbtune.core.errors import Misused
from dbtune.core.identifiers import quote
from dbtune.core.progress import Progress, silent
from dbtune.plans.parameters import acceptable
from dbtune.plans.tree import nodes

_FIELD = re.compile(r"\bextract\s*\(\s*\$\d+\s+from\b", re.IGNORECASE)
_MISSING = re.compile(r'relation "(.+)" does not exist')
_NO_TABLE = "it reads no table of this database"
_NO_ROWS = "its conditions contradict each other or the table's: PostgreSQL knows without reading that no row matches"


@dataclass(frozen=True, slots=True)
class Analysis:
    """One statement, its variants with typical values, and what could serve it. `tables`: every one it touches."""

    statement: Statement
    accesses: tuple[Access, ...]
    proposals: Proposals

    @property
    def tables(self) -> frozenset[Table]:
        return frozenset(access.table for access in self.accesses)


@dataclass(frozen=True, slots=True)
class Analyses:
    """`workload` holds what could be analysed, and the rest as not examined."""

    workload: Workload
    each: tuple[Analysis, ...]


def analyse(workload: Workload, what_if: WhatIf, source: Source, progress: Progress = silent) -> Analyses:
    """Plans every text once, without any index; one that cannot be planned is told, and spoils no other."""
    all_indexes = frozenset(quote(index.schema, index.name) for index in what_if.existing)
    found: list[Analysis] = []
    failed: list[tuple[Statement, str]] = []
    for number, statement in enumerate(workload.statements):
        progress("reading the statements", number / len(workload.statements))
        try:
            found.append(_analysed(statement, what_if, source, all_indexes))
        except Misused as refusal:
            failed.append((statement, _told(refusal.message, source)))
    kept = without(workload, failed)
    each = {one.statement.fingerprint: one.statement for one in found}
    return Analyses(replace(kept, statements=tuple(each[one.fingerprint] for one in kept.statements)), tuple(found))


def _analysed(statement: Statement, what_if: WhatIf, source: Source, indexes: frozenset[str]) -> Analysis:
    roots = _Roots(source)
    accesses: dict[Access, None] = {}
    kept: list[Variant] = []
    is_empty = False
    refusal: Misused | None = None
    for variant in map(_plannable, statement.variants):
        try:
            plan = what_if.plan(variant.sql, dropped=() if _needs_unique(statement) else indexes)
        except Misused as error:
            refusal = error
            continue
        kept.append(variant)
        is_empty = is_empty or any(node.get("One-Time Filter") == "false" for node in nodes(plan.document))
        accesses |= dict.fromkeys(read_accesses(plan.document, roots.root_of, roots.columns_of))
    if not kept and refusal is not None:
        raise refusal
    if not accesses:
        raise Misused(_NO_ROWS if is_empty else _NO_TABLE)
    statement = replace(statement, variants=_shared(kept))
    typical = with_typical_values(statement, accesses, source)
    return Analysis(_proven(typical, what_if, indexes), tuple(accesses), propose(accesses, source))


def _told(complaint: str, source: Source) -> str:
    """PostgreSQL's word, unless we know better why a relation is not there."""
    missing = _MISSING.search(complaint)
    name = missing[1] if missing is not None else None
    for table in source.tables:
        if table.kind == "f" and name in (table.name, f"{table.schema}.{table.name}"):
            return f"it reads the foreign table {table.schema}.{table.name}, which only its own server can plan"
    return complaint


def _plannable(variant: Variant) -> Variant:
    """`extract($1 from t)` is no SQL; its field gets a value here, so that plan and text number parameters alike."""
    return replace(variant, sql=acceptable(variant.sql)) if _FIELD.search(variant.sql) else variant


def _proven(statement: Statement, what_if: WhatIf, indexes: frozenset[str]) -> Statement:
    """Without variants whose values do not fit where they were put: the statistics know values, not their use."""
    doubtful = [one.sql for one in statement.variants if one.label in LEVELS]
    if not doubtful:
        return statement
    costs = what_if.costs(doubtful, dropped=() if _needs_unique(statement) else indexes)
    failed = {sql for sql, cost in zip(doubtful, costs, strict=True) if cost.total is None}
    kept = [one for one in statement.variants if one.sql not in failed]
    return replace(statement, variants=_shared(kept)) if kept else statement


def _shared(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """The shares of those that are left make one again."""
    whole = sum(one.share for one in variants)
    return tuple(replace(one, share=one.share / whole if whole else 1 / len(variants)) for one in variants)


def _needs_unique(statement: Statement) -> bool:
    """ON CONFLICT cannot be planned without its unique index."""
    return "conflict" in words_of(statement.text)


class _Roots:
    """From partitions to the table that people name, and what columns a table has."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def columns_of(self, table: Table) -> frozenset[str]:
        known = self._source.by_name.get(table)
        return frozenset(column.name for column in known.columns) if known is not None else frozenset()

    def root_of(self, table: Table) -> Table:
        seen: set[Table] = set()
        while table not in seen:
            seen.add(table)
            known = self._source.by_name.get(table)
            if known is None or known.bound is None or not known.parents:
                return table
            table = known.parents[0]
        return table
