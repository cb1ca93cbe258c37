"""From statements to what the search works on: how each reaches its tables, typical values, and candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dbtune.advisor.access import Access, Table
from dbtune.advisor.candidates import Proposals, propose
from dbtune.advisor.reading import read_accesses
from dbtune.advisor.source import Source
from dbtune.advisor.texts import words_of
from dbtune.advisor.values import with_typical_values
from dbtune.advisor.what_if import WhatIf
from dbtune.advisor.workload import Statement, Variant, Workload, without
from dbtune.core.errors import Misused
from dbtune.core.identifiers import quote
from dbtune.core.progress import Progress, silent
from dbtune.plans.plan import Plan

_NO_TABLE = "it reads no table of this database"


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
            failed.append((statement, refusal.message))
    kept = without(workload, failed)
    each = {one.statement.fingerprint: one.statement for one in found}
    return Analyses(replace(kept, statements=tuple(each[one.fingerprint] for one in kept.statements)), tuple(found))


def _analysed(statement: Statement, what_if: WhatIf, source: Source, indexes: frozenset[str]) -> Analysis:
    roots = _Roots(source)
    accesses: dict[Access, None] = {}
    kept: list[Variant] = []
    refusal: Misused | None = None
    for variant in statement.variants:
        try:
            plan = _bare_plan(variant.sql, what_if, indexes)
        except Misused as error:
            refusal = error
            continue
        kept.append(variant)
        accesses |= dict.fromkeys(read_accesses(plan.document, roots.root_of, roots.columns_of))
    if not kept and refusal is not None:
        raise refusal
    if not accesses:
        raise Misused(_NO_TABLE)
    if len(kept) < len(statement.variants):
        statement = replace(statement, variants=tuple(replace(one, share=1 / len(kept)) for one in kept))
    typical = with_typical_values(statement, accesses, source)
    return Analysis(typical, tuple(accesses), propose(accesses, source))


def _bare_plan(sql: str, what_if: WhatIf, indexes: frozenset[str]) -> Plan:
    """Without any index, so that the plan shows every condition and sort. ON CONFLICT cannot do without its own."""
    needs_unique = "conflict" in words_of(sql)
    return what_if.plan(sql, dropped=() if needs_unique else indexes)


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


def definitions_of(analyses: Iterable[Analysis]) -> Sequence[str]:
    """The DDL of every candidate, for people who want to see them all."""
    ddl = (one.ddl() for analysis in analyses for one in analysis.proposals.definitions)
    return tuple(dict.fromkeys(ddl))
