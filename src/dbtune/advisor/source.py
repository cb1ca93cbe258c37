"""What is known of a database without its rows: schema, sizes, planner statistics, settings and counters.

Definitions and expressions are PostgreSQL's own text, every name qualified; values of statistics are array literals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dbtune.advisor.arrays import array_items
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote

BLOCK_BYTES = 8192


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """One row of pg_stats. `inherited` counts the children's rows too; `n_distinct` < 0 is minus a share of rows."""

    column: str
    inherited: bool
    null_frac: float
    avg_width: int
    n_distinct: float
    correlation: float | None = None
    most_common_vals: str | None = None
    most_common_freqs: tuple[float, ...] | None = None
    histogram_bounds: str | None = None
    most_common_elems: str | None = None
    most_common_elem_freqs: tuple[float, ...] | None = None
    elem_count_histogram: tuple[float, ...] | None = None
    range_length_histogram: str | None = None
    range_empty_frac: float | None = None
    range_bounds_histogram: str | None = None

    def distinct(self, rows: float) -> float:
        """How many distinct values, at least 1; where ANALYZE did not find out, PostgreSQL's own guess of 200."""
        if self.n_distinct == 0:
            return max(min(200.0, rows), 1.0)
        return max(-self.n_distinct * rows if self.n_distinct < 0 else self.n_distinct, 1.0)

    @property
    def common(self) -> tuple[tuple[str | None, float], ...]:
        """The most common values with their frequencies, the most common first."""
        return tuple(zip(array_items(self.most_common_vals), self.most_common_freqs or (), strict=False))

    @property
    def bounds(self) -> tuple[str | None, ...]:
        """The histogram's bounds in order: as many values lie between each two."""
        return array_items(self.histogram_bounds)


@dataclass(frozen=True, slots=True)
class Column:
    """`type` as CREATE TABLE writes it; `base` is pg_type's name beneath any domain, `length` its typlen, -1 varying.

    `kind` is pg_type.typtype, `extension` the type's owner, `generated` an expression; an index told both true ends.
    """

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
    collation: str | None = None
    extension: str | None = None
    generated: str | None = None
    virtual: bool = False
    statistics: tuple[ColumnStatistics, ...] = ()
    minimum: str | None = None
    maximum: str | None = None

    @property
    def stats(self) -> ColumnStatistics | None:
        """Those over the children where there are children, as the planner reads them."""
        return next((one for one in self.statistics if one.inherited), None) or next(iter(self.statistics), None)


@dataclass(frozen=True, slots=True)
class Counters:
    """pg_stat_user_tables."""

    inserted: int
    updated: int
    hot_updated: int
    deleted: int
    sequential_scans: int
    index_scans: int
    live: int
    analyzed_at: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A relation with columns. `kind` is pg_class.relkind: r, p (partitioned), v, m, f.

    `pages` is the file's size now, `relpages` and `rows` what the last VACUUM or ANALYZE saw (-1 rows: never).
    `query` is a view's text; `partition_key` and `bound` make partitions; `parents` are (schema, name).
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    pages: int = 0
    relpages: int = 0
    rows: float = -1.0
    visible_pages: int = 0
    query: str | None = None
    partition_key: str | None = None
    bound: str | None = None
    parents: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    counters: Counters | None = None
    unreadable: bool = False

    @property
    def qualified(self) -> str:
        return quote(self.schema, self.name)

    @property
    def live_rows(self) -> float:
        """Rows now, as the planner reckons: the density of the last ANALYZE times the size now."""
        if self.rows < 0:
            return 0.0
        return self.rows if not self.relpages else self.rows / self.relpages * max(self.pages, 1)

    @property
    def built_rows(self) -> float:
        """Without the dead ones by which a file has grown; counters that were reset count only from an ANALYZE on."""
        counted = self.counters.live if self.counters is not None and self.counters.analyzed_at else 0
        return min(self.live_rows, counted) if counted else self.live_rows

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of an index in the catalog: a column's name or an expression's text, and pg_index.indoption."""

    column: str | None
    expression: str | None
    option: int
    opclass: str
    opclass_is_default: bool
    collation: str | None
    collation_is_own: bool


@dataclass(frozen=True, slots=True)
class Index:
    """`constraint` is pg_constraint.contype of what it backs; `height` and true sizes are the source's where known."""

    oid: int
    schema: str
    name: str
    table_schema: str
    table: str
    method: str
    definition: str
    keys: tuple[KeyRow, ...]
    include: tuple[str, ...]
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
    parent: tuple[str, str] | None
    pages: int
    relpages: int
    rows: float
    kind: str
    options: tuple[str, ...] = ()
    scans: int | None = None
    last_scan: str | None = None
    statistics: tuple[ColumnStatistics, ...] = ()

    @property
    def qualified(self) -> str:
        return quote(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A foreign key or a check: both tell the planner something."""

    schema: str
    table: str
    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = ()
    referenced: tuple[str, str] | None = None
    referenced_columns: tuple[str, ...] = ()
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A type of the database's own. `kind` is e, d, c or r; `labels` an enum's, `fields` a composite's (name, type)."""

    schema: str
    name: str
    kind: str
    base: str | None = None
    collation: str | None = None
    labels: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    schema: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class ExtendedStatistics:
    """CREATE STATISTICS: `distinct` and `dependencies` as pg_stats_ext prints them; `common` only a superuser reads."""

    schema: str
    name: str
    table_schema: str
    table: str
    definition: str
    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    distinct: str | None = None
    dependencies: str | None = None
    common_hex: str | None = None
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A row of pg_stat_statements, its constants already `$n`. `queryid` is text: 64 bits."""

    queryid: str
    query: str
    calls: int
    total_time_s: float
    rows: int = 0


@dataclass(frozen=True)
class Source:
    """The whole. `version` is server_version_num, times are ISO 8601."""

    version: int
    database: str
    taken_at: str
    is_c_collation: bool
    search_path: str
    tables: tuple[Table, ...]
    indexes: tuple[Index, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    types: tuple[TypeDefinition, ...] = ()
    functions: tuple[Function, ...] = ()
    sequences: tuple[tuple[str, str], ...] = ()
    extended: tuple[ExtendedStatistics, ...] = ()
    extensions: tuple[tuple[str, str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    statements: tuple[Statement, ...] = ()
    statistics_since: str | None = None
    standbys: int | None = None
    has_values: bool = True
    not_examined: tuple[Unexamined, ...] = field(default=())

    @cached_property
    def by_name(self) -> dict[tuple[str, str], Table]:
        return {(table.schema, table.name): table for table in self.tables}

    @cached_property
    def children(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Partitions and heirs by their parent."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for table in self.tables:
            for parent in table.parents:
                found.setdefault(parent, []).append((table.schema, table.name))
        return found

    @cached_property
    def _indexes_by_table(self) -> dict[tuple[str, str], list[Index]]:
        found: dict[tuple[str, str], list[Index]] = {}
        for index in self.indexes:
            found.setdefault((index.table_schema, index.table), []).append(index)
        return found

    def indexes_of(self, table: Table) -> Sequence[Index]:
        return self._indexes_by_table.get((table.schema, table.name), ())
