"""What an index costs those who write: rows that have to be entered into it, in the planner's own unit.

A row takes the descent (50 operators a level, as genericcostestimate and btcostestimate have it), one index tuple, and
a random page for the share of the index that does not lie in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dbtune.advisor.analysis import Analysis
from dbtune.advisor.cached import bytes_of, number_of
from dbtune.advisor.source import Counters, Source
from dbtune.advisor.what_if import Candidate
from dbtune.advisor.workload import Statement

_OPERATORS_A_LEVEL = 50
_COMPLETE = ("pg_stat_statements",)
"""Sources whose calls belong to the same time as the counters of tables."""


@dataclass(frozen=True, slots=True)
class TableWrites:
    """Rows written while the workload ran. `assigned` counts updated rows by the columns that they set."""

    inserted: float = 0.0
    updated: float = 0.0
    hot_share: float = 0.0
    assigned: Mapping[str, float] = field(default_factory=dict)

    def entries(self, columns: Iterable[str]) -> float:
        """How many rows have to be entered into an index with these columns.

        An update whose columns the index does not hold may stay HOT, and then enters nothing.
        """
        named = max((self.assigned.get(column, 0.0) for column in columns), default=0.0)
        return self.inserted + max(named, self.updated * (1 - self.hot_share))


def write_costs(
    candidates: Iterable[Candidate], writes: Mapping[tuple[str, str], TableWrites], source: Source
) -> list[float]:
    """One for each candidate, over the time of the workload."""
    settings = dict(source.settings)
    return [_cost(one, writes.get((one.definition.schema, one.definition.table)), settings) for one in candidates]


def table_writes(analyses: Iterable[Analysis], source: Source) -> dict[tuple[str, str], TableWrites]:
    """From the workload's own statements; where it has none for a table, from the table's counters.

    The counters are used only beside pg_stat_statements, whose calls are of the same time, and without as many rows as
    the table holds: those may have been loaded at once.
    """
    analyses = list(analyses)
    found = _by_statements(analyses, source)
    if any(one.statement.source in _COMPLETE for one in analyses):
        for table in source.tables:
            if table.counters is not None and (table.schema, table.name) not in found:
                found[table.schema, table.name] = _by_counters(table.counters)
    return found


def _by_counters(counters: Counters) -> TableWrites:
    return TableWrites(
        inserted=float(max(counters.inserted - counters.live, 0)),
        updated=float(counters.updated),
        hot_share=_hot_share(counters),
    )


def _hot_share(counters: Counters | None) -> float:
    return counters.hot_updated / counters.updated if counters is not None and counters.updated else 0.0


def _by_statements(analyses: Iterable[Analysis], source: Source) -> dict[tuple[str, str], TableWrites]:
    found: dict[tuple[str, str], TableWrites] = {}
    for analysis in analyses:
        written = _written(analysis.statement)
        table = next((one for one in sorted(analysis.tables) if written and one[1].lower() == written.table), None)
        if written is None or table is None:
            continue
        rows = analysis.statement.weight * max(analysis.statement.rows or 1.0, 0.0)
        before = found.get(table, TableWrites(hot_share=_hot_share(source.by_name[table].counters)))
        found[table] = TableWrites(
            inserted=before.inserted + (rows if written.is_insert else 0.0),
            updated=before.updated + (0.0 if written.is_insert else rows),
            hot_share=before.hot_share,
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


def _cost(candidate: Candidate, writes: TableWrites | None, settings: Mapping[str, str]) -> float:
    if writes is None or candidate.size_bytes is None:
        return 0.0
    levels = (candidate.height or 0) + 1
    processor = levels * _OPERATORS_A_LEVEL * number_of(settings, "cpu_operator_cost", 0.0025)
    processor += number_of(settings, "cpu_index_tuple_cost", 0.005)
    cache = bytes_of(settings.get("effective_cache_size"), 4 << 30)
    missed = max(1 - cache / candidate.size_bytes, 0.0) if candidate.size_bytes else 0.0
    each = processor + missed * number_of(settings, "random_page_cost", 4.0)
    return each * writes.entries(candidate.definition.columns)
