"""Rows of the statements behind the twin's dump, and what becomes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from dbtune.advisor.source import (
    Column,
    ColumnStatistics,
    Constraint,
    Counters,
    ExtendedStatistics,
    Index,
    KeyRow,
    Table,
    TypeDefinition,
)

ByRelation = Mapping[str, Mapping[str, tuple[ColumnStatistics, ...]]]
"""Statistics by `schema.name`, quoted, and by column."""


@dataclass(frozen=True, slots=True)
class RelationRow:
    oid: int
    schema: str
    name: str
    kind: str
    pages: int
    relpages: int
    rows: float
    visible_pages: int
    query: str | None
    partition_key: str | None
    bound: str | None
    parents: list[list[str]]
    options: list[str]
    unreadable: bool
    counted: bool
    inserted: int | None
    updated: int | None
    hot_updated: int | None
    deleted: int | None
    sequential_scans: int | None
    index_scans: int | None
    live: int | None
    analyzed_at: datetime | None

    def table(self, columns: tuple[Column, ...]) -> Table:
        return Table(
            oid=self.oid,
            schema=self.schema,
            name=self.name,
            kind=self.kind,
            columns=columns,
            pages=self.pages,
            relpages=self.relpages,
            rows=self.rows,
            visible_pages=self.visible_pages,
            query=self.query,
            partition_key=self.partition_key,
            bound=self.bound,
            parents=pairs(self.parents),
            options=tuple(self.options),
            counters=self._counters() if self.counted else None,
            unreadable=self.unreadable,
        )

    def _counters(self) -> Counters:
        return Counters(
            inserted=self.inserted or 0,
            updated=self.updated or 0,
            hot_updated=self.hot_updated or 0,
            deleted=self.deleted or 0,
            sequential_scans=self.sequential_scans or 0,
            index_scans=self.index_scans or 0,
            live=self.live or 0,
            analyzed_at=None if self.analyzed_at is None else self.analyzed_at.isoformat(),
        )


@dataclass(frozen=True, slots=True)
class ColumnRow:
    table_oid: int
    name: str
    number: int
    type: str
    type_schema: str
    type_name: str
    base: str
    kind: str
    length: int
    alignment: str
    not_null: bool
    collation: str | None
    extension: str | None
    generated: str | None
    virtual: bool

    def column(self) -> Column:
        return Column(**{field.name: getattr(self, field.name) for field in fields(self) if field.name != "table_oid"})


@dataclass(frozen=True, slots=True)
class StatisticsRow:
    relation: str
    column: str
    inherited: bool
    null_frac: float
    avg_width: int
    n_distinct: float
    correlation: float | None
    most_common_vals: str | None
    most_common_freqs: list[float] | None
    histogram_bounds: str | None
    most_common_elems: str | None
    most_common_elem_freqs: list[float] | None
    elem_count_histogram: list[float] | None
    range_length_histogram: str | None
    range_empty_frac: float | None
    range_bounds_histogram: str | None

    def statistics(self, *, values: bool) -> ColumnStatistics:
        found = ColumnStatistics(
            column=self.column,
            inherited=self.inherited,
            null_frac=self.null_frac,
            avg_width=self.avg_width,
            n_distinct=self.n_distinct,
            correlation=self.correlation,
        )
        if not values:
            return found
        return replace(
            found,
            most_common_vals=self.most_common_vals,
            most_common_freqs=_tuple(self.most_common_freqs),
            histogram_bounds=self.histogram_bounds,
            most_common_elems=self.most_common_elems,
            most_common_elem_freqs=_tuple(self.most_common_elem_freqs),
            elem_count_histogram=_tuple(self.elem_count_histogram),
            range_length_histogram=self.range_length_histogram,
            range_empty_frac=self.range_empty_frac,
            range_bounds_histogram=self.range_bounds_histogram,
        )


@dataclass(frozen=True, slots=True)
class IndexRow:
    oid: int
    schema: str
    name: str
    table_schema: str
    table: str
    method: str
    definition: str
    keys: list[dict[str, Any]]
    include: list[str]
    predicate: str | None
    is_unique: bool
    nulls_not_distinct: bool
    is_valid: bool
    is_replica_identity: bool
    is_clustered: bool
    constraint: str | None
    constraint_name: str | None
    constraint_definition: str | None
    is_referenced: bool
    parent: list[str] | None
    pages: int
    relpages: int
    rows: float
    kind: str
    options: list[str]
    scans: int | None
    last_scan: datetime | None

    def index(self) -> Index:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {
            "keys": tuple(KeyRow(**key) for key in self.keys),
            "include": tuple(self.include),
            "options": tuple(self.options),
            "parent": None if self.parent is None else (self.parent[0], self.parent[1]),
            "last_scan": None if self.last_scan is None else self.last_scan.isoformat(),
        }
        return Index(**values)


@dataclass(frozen=True, slots=True)
class ConstraintRow:
    schema: str
    table: str
    name: str
    kind: str
    definition: str
    columns: list[str]
    referenced: list[str] | None
    referenced_columns: list[str]
    is_valid: bool

    def constraint(self) -> Constraint:
        return Constraint(
            schema=self.schema,
            table=self.table,
            name=self.name,
            kind=self.kind,
            definition=self.definition,
            columns=tuple(self.columns),
            referenced=None if self.referenced is None else (self.referenced[0], self.referenced[1]),
            referenced_columns=tuple(self.referenced_columns),
            is_valid=self.is_valid,
        )


@dataclass(frozen=True, slots=True)
class TypeRow:
    schema: str
    name: str
    kind: str
    base: str | None
    collation: str | None
    labels: list[str]
    fields: list[list[str]]

    def definition(self) -> TypeDefinition:
        return TypeDefinition(
            self.schema, self.name, self.kind, self.base, self.collation, tuple(self.labels), pairs(self.fields)
        )


@dataclass(frozen=True, slots=True)
class ExtendedRow:
    schema: str
    name: str
    table_schema: str
    table: str
    definition: str
    kinds: list[str]
    columns: list[str]
    distinct_counts: str | None
    dependencies: str | None
    inherited: bool

    def extended(self) -> ExtendedStatistics:
        return ExtendedStatistics(
            schema=self.schema,
            name=self.name,
            table_schema=self.table_schema,
            table=self.table,
            definition=self.definition,
            kinds=tuple(self.kinds),
            columns=tuple(self.columns),
            distinct=self.distinct_counts,
            dependencies=self.dependencies,
            inherited=self.inherited,
        )


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    database: str
    taken_at: datetime
    is_c_collation: bool
    statistics_since: datetime | None
    standbys: int
    extensions: list[str]


@dataclass(frozen=True, slots=True)
class SettingRow:
    name: str
    value: str


def by_relation(rows: Iterable[StatisticsRow], *, values: bool) -> ByRelation:
    found: dict[str, dict[str, tuple[ColumnStatistics, ...]]] = defaultdict(dict)
    for row in rows:
        columns = found[row.relation]
        columns[row.column] = (*columns.get(row.column, ()), row.statistics(values=values))
    return found


def pairs(lists: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((one[0], one[1]) for one in lists)


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
