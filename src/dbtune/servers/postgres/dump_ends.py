"""The true minimum and maximum of columns that lead a B-tree.

The planner replaces a histogram's ends by what it finds at the ends of an index. The twin's indexes are empty, so the
ends are looked up here, by the same index, and put into the histogram.

Such a look-up counts as a use of the index, the planner's own as well. So one that was never used is left alone: what
audit and advice say of unused indexes has to stay true, and no plan was ever made that rests on what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import psycopg
from psycopg import sql

from dbtune.advisor.arrays import array_items, array_literal
from dbtune.advisor.source import Column, ColumnStatistics, Source, Table
from dbtune.core.findings import Unexamined
from dbtune.servers.postgres.session import Connection

AT_ONCE = 40
TIMEOUT_MS = 2000
"""A descent takes microseconds; over a heap of dead entries it could take long, and is given up."""

# Qualified: a bare name after ORDER BY would mean the text that is selected.
_ENDS = (
    "select {place}, (select t.{column} from {table} t where t.{column} is not null order by t.{column} limit 1)::text,"
    " (select t.{column} from {table} t where t.{column} is not null order by t.{column} desc limit 1)::text"
)


class _Place(NamedTuple):
    table: Table
    column: str


class _Ends(NamedTuple):
    minimum: str | None
    maximum: str | None


def with_true_ends(connection: Connection, source: Source) -> Source:
    """The same, with histograms that reach from the true minimum to the true maximum where an index knows them."""
    places = list({(place.table.oid, place.column): place for place in _places(source)}.values())
    ends: dict[tuple[int, str], _Ends] = {}
    missing = 0
    for start in range(0, len(places), AT_ONCE):
        chunk = places[start : start + AT_ONCE]
        found = _ask(connection, chunk)
        if found is None:
            # One of them spoils the others: each by itself.
            for place in chunk:
                alone = _ask(connection, [place])
                missing += alone is None
                ends |= alone or {}
        else:
            ends |= found
    tables = tuple(_with_ends(table, ends) for table in source.tables)
    gaps = (_not_asked(missing),) if missing else ()
    return replace(source, tables=tables, not_examined=(*source.not_examined, *gaps))


def _places(source: Source) -> Iterator[_Place]:
    for index in source.indexes:
        table, key = source.by_name.get((index.table_schema, index.table)), index.keys[0] if index.keys else None
        if table is None or key is None or key.column is None or index.method != "btree" or index.predicate is not None:
            continue
        column = table.column(key.column)
        if index.scans == 0 and index.constraint is None and not index.is_unique:
            continue
        usable = index.is_valid and key.opclass_is_default and not key.collation_is_own and table.kind in ("r", "m")
        if usable and column is not None and any(one.histogram_bounds for one in column.statistics):
            yield _Place(table, key.column)


def _ask(connection: Connection, places: Sequence[_Place]) -> dict[tuple[int, str], _Ends] | None:
    """None where it fails: a privilege is missing, or it takes too long."""
    parts = [
        sql.SQL(_ENDS).format(
            place=number,
            column=sql.Identifier(place.column),
            table=sql.Identifier(place.table.schema, place.table.name),
        )
        for number, place in enumerate(places)
    ]
    query = sql.SQL("/* dbtune */ ") + sql.SQL(" union all ").join(parts)
    try:
        with connection.transaction():
            connection.execute("/* dbtune */ select set_config('statement_timeout', %s, true)", (f"{TIMEOUT_MS}ms",))
            found = connection.execute(query).fetchall()
    except psycopg.Error:
        return None
    return {
        (places[int(str(number))].table.oid, places[int(str(number))].column): _Ends(_text(low), _text(high))
        for number, low, high in found
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _with_ends(table: Table, ends: dict[tuple[int, str], _Ends]) -> Table:
    columns = tuple(_stretched(column, ends.get((table.oid, column.name))) for column in table.columns)
    return table if columns == table.columns else replace(table, columns=columns)


def _stretched(column: Column, ends: _Ends | None) -> Column:
    if ends is None or ends.minimum is None or ends.maximum is None:
        return column
    statistics = tuple(one if one.inherited else _reaching(one, ends) for one in column.statistics)
    return replace(column, statistics=statistics, minimum=ends.minimum, maximum=ends.maximum)


def _reaching(statistics: ColumnStatistics, ends: _Ends) -> ColumnStatistics:
    bounds = array_items(statistics.histogram_bounds)
    if len(bounds) < 2:
        return statistics
    return replace(statistics, histogram_bounds=array_literal((ends.minimum, *bounds[1:-1], ends.maximum)))


def _not_asked(count: int) -> Unexamined:
    return Unexamined(
        f"the ends of {count} histograms",
        "the smallest and the largest value could not be read (a privilege, or it took too long): values beyond what"
        " ANALYZE saw are estimated a little differently",
    )
