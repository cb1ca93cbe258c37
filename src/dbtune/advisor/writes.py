"""What an index costs those who write: rows that have to be entered into it, in the planner's own unit.

A row takes the descent (50 operators a level, as genericcostestimate and btcostestimate have it), one index tuple, its
record in the log, and a random page for the share of the index that does not lie in the cache. A GIN index takes an
entry for each element of a row. An update that no index of the table hears of stays HOT; the first index that holds one
of its columns, be it in INCLUDE or WHERE, makes it enter the row into every other index as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from dbtune.advisor.analysis import Analysis
from dbtune.advisor.cached import bytes_of, number_of
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.source import Counters, Source
from dbtune.advisor.texts import words_of
from dbtune.advisor.what_if import Candidate
from dbtune.advisor.workload import Statement

_OPERATORS_A_LEVEL = 50
_LOGGED = 0.15
"""Opening the index, locking its page and writing the log, in the planner's units. Measured with single inserts into a
table with four and nine indexes: 5 microseconds of processor time for each, of which the descent is half. (A unit is
the time of 80 rows in a sequential scan, which is 7 of them.) Less than half of it counts: what reads gain is weighed
by the planner's word as well, which takes pages in memory for dearer than they are.
"""
_GIN_BYTES = 12.0
"""Of a GIN index for each row, that take as long to enter as a row of a B-tree: measured with arrays and trigrams."""
_SUMMARIZING_SINCE = 160000
_COMPLETE = ("pg_stat_statements",)
"""Sources whose calls belong to the same time as the counters of tables."""


@dataclass(frozen=True, slots=True)
class TableWrites:
    """Rows written while the workload ran. `assigned` counts updated rows by the columns that they set.

    `held` are the columns that existing indexes hold, of which there are `indexes`.
    """

    inserted: float = 0.0
    updated: float = 0.0
    hot_share: float = 0.0
    assigned: Mapping[str, float] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    indexes: int = 0

    def entries(self, columns: Collection[str], share: float = 1.0) -> float:
        """How many rows have to be entered into an index with these columns, and because of it into others.

        An update whose columns no index holds may stay HOT, and then enters nothing. `share` of the rows are in the
        index, if it is partial: an update enters no other, while what is inserted may be just those (a queue).
        """
        named = self._set(columns)
        spoiled = min(self._set(frozenset(columns) - self.held), self.updated * self.hot_share)
        return self.inserted + max(named, self.updated * (1 - self.hot_share)) * share + spoiled * self.indexes

    def _set(self, columns: Collection[str]) -> float:
        return max((self.assigned.get(column, 0.0) for column in columns), default=0.0)


def write_costs(
    candidates: Iterable[Candidate], writes: Mapping[tuple[str, str], TableWrites], source: Source
) -> list[float]:
    """One for each candidate, over the time of the workload."""
    settings = dict(source.settings)
    found = []
    for one in candidates:
        name = (one.definition.schema, one.definition.table)
        table, written = source.by_name.get(name), writes.get(name)
        if table is None or written is None or one.size_bytes is None:
            found.append(0.0)
            continue
        share = min((one.rows or 0.0) / max(table.live_rows, 1.0), 1.0) if one.definition.where is not None else 1.0
        found.append(_each(one, settings) * written.entries(_columns(one.definition, source.version), share))
    return found


def _columns(definition: IndexDefinition, version: int) -> frozenset[str]:
    """Everything that may be a column whose change PostgreSQL cannot keep from the index."""
    if definition.method == "brin" and version >= _SUMMARIZING_SINCE:
        # It does not stand in the way of HOT updates.
        return frozenset()
    texts = (definition.where, *(key.expression for key in definition.keys))
    return frozenset(definition.columns).union(*(words_of(text) for text in texts if text is not None))


def table_writes(analyses: Iterable[Analysis], source: Source) -> dict[tuple[str, str], TableWrites]:
    """From the workload's own statements; where it has none for a table, from the table's counters.

    The counters are used only beside pg_stat_statements, whose calls are of the same time, and without as many rows as
    the table holds: those may have been loaded at once.
    """
    analyses = list(analyses)
    found = {name: _known(name, one, source) for name, one in _by_statements(analyses).items()}
    if any(one.statement.source in _COMPLETE for one in analyses):
        for table in source.tables:
            if table.counters is not None and (table.schema, table.name) not in found:
                found[table.schema, table.name] = _by_counters(table.counters)
    return found


def _by_counters(counters: Counters) -> TableWrites:
    return TableWrites(
        inserted=float(max(counters.inserted - counters.live, 0)),
        updated=float(counters.updated),
        hot_share=counters.hot_updated / counters.updated if counters.updated else 0.0,
    )


def _known(name: tuple[str, str], writes: TableWrites, source: Source) -> TableWrites:
    """With what existing indexes hold; where no update was counted, those of columns that none holds are HOT."""
    table = source.by_name[name]
    indexes = source.indexes_of(table)
    held = {column for one in indexes for column in (*one.include, *(key.column for key in one.keys)) if column}
    for text in (text for one in indexes for text in (one.predicate, *(key.expression for key in one.keys)) if text):
        held |= words_of(text)
    counters = table.counters
    if counters is not None and counters.updated:
        hot_share = counters.hot_updated / counters.updated
    else:
        hot_share = 0.0 if held & writes.assigned.keys() else 1.0
    return replace(writes, hot_share=hot_share, held=frozenset(held), indexes=len(indexes))


def _by_statements(analyses: Iterable[Analysis]) -> dict[tuple[str, str], TableWrites]:
    found: dict[tuple[str, str], TableWrites] = {}
    for analysis in analyses:
        written = _written(analysis.statement)
        table = next((one for one in sorted(analysis.tables) if written and one[1].lower() == written.table), None)
        if written is None or table is None:
            continue
        rows = analysis.statement.weight * max(analysis.statement.rows or 1.0, 0.0)
        before = found.get(table, TableWrites())
        found[table] = TableWrites(
            inserted=before.inserted + (rows if written.is_insert else 0.0),
            updated=before.updated + (0.0 if written.is_insert else rows),
            assigned={
                **before.assigned,
                **{column: before.assigned.get(column, 0.0) + rows for column in written.columns},
            },
        )
    return found


@dataclass(frozen=True, slots=True)
class _Written:
    table: str
    is_insert: bool
    columns: tuple[str, ...] = ()


def _written(statement: Statement) -> _Written | None:
    """What an INSERT or UPDATE writes; a DELETE enters nothing into an index."""
    words = statement.text.lower()
    if "insert" not in words and "update" not in words:
        return None
    import sqlglot
    from sqlglot import expressions

    try:
        tree = sqlglot.parse_one(statement.text, read="postgres")
    except sqlglot.errors.SqlglotError:
        return None
    if isinstance(tree, expressions.Insert | expressions.Update):
        table = tree.find(expressions.Table)
        if table is not None:
            assigned = tree.expressions if isinstance(tree, expressions.Update) else []
            columns = tuple(one.this.name for one in assigned if isinstance(one, expressions.EQ))
            return _Written(table.name.lower(), isinstance(tree, expressions.Insert), columns)
    return None


def _each(candidate: Candidate, settings: Mapping[str, str]) -> float:
    """One row that is entered."""
    definition, size_bytes = candidate.definition, candidate.size_bytes or 0
    levels = (candidate.height or 0) + 1
    processor = levels * _OPERATORS_A_LEVEL * number_of(settings, "cpu_operator_cost", 0.0025)
    processor += number_of(settings, "cpu_index_tuple_cost", 0.005)
    if definition.method == "brin":
        # Nothing is entered as long as the values are within those of their range of pages.
        return processor
    cache = bytes_of(settings.get("effective_cache_size"), 4 << 30)
    missed = max(1 - cache / size_bytes, 0.0) if size_bytes else 0.0
    each = processor + _LOGGED + missed * number_of(settings, "random_page_cost", 4.0)
    if definition.method != "gin":
        return each
    return each * max(size_bytes / max(candidate.rows or 0.0, 1.0) / _GIN_BYTES, 1.0)
