"""The planner's statistics of columns, put there by the function that PostgreSQL 18 has for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import psycopg

from dbtune.advisor.source import ColumnStatistics, Source, Table
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote
from dbtune.servers.postgres.session import Connection

_TYPES = (
    "null_frac real, avg_width int, n_distinct real, correlation real, most_common_vals text, most_common_freqs real[],"
    " histogram_bounds text, most_common_elems text, most_common_elem_freqs real[], elem_count_histogram real[],"
    " range_length_histogram text, range_empty_frac real, range_bounds_histogram text"
)


_RESTORE = (
    "/* dbtune */ select number::int from (select s.number,"
    " pg_restore_attribute_stats('schemaname', s.schema, 'relname', s.relation,"
    " 'attname', s.\"column\", 'inherited', s.inherited, "
    + ", ".join(f"'{part.split()[0]}', s.{part.split()[0]}" for part in _TYPES.split(","))
    + ") as is_whole from jsonb_to_recordset(%s::jsonb) as s(number int, schema text, relation text,"
    + ' "column" text, inherited boolean, '
    + _TYPES
    + ") join pg_namespace on nspname = s.schema"
    " join pg_class on relnamespace = pg_namespace.oid and relname = s.relation"
    ' join pg_attribute on attrelid = pg_class.oid and attname = s."column" and attnum > 0'
    " offset 0) as restored where not is_whole"
)
"""Takes what it can. The numbers of those of which it did not take all; why, a warning says."""


_FIELDS = tuple(field.name for field in fields(ColumnStatistics))


def load_statistics(builders: Sequence[Connection], source: Source, missing: set[str]) -> list[Unexamined]:
    """What PostgreSQL would not take. Connections work side by side, but never on one table: each locks its tables.

    Under the owner of the tables: reading a value performs the checks of its domain, which came with the dump.
    """
    parts = [list(_rows(source, source.tables[side :: len(builders)], missing)) for side in range(len(builders))]
    with ThreadPoolExecutor(len(builders)) as pool:
        return [problem for problems in pool.map(_restore, builders, parts) for problem in problems]


def _restore(builder: Connection, rows: Sequence[dict[str, Any]]) -> list[Unexamined]:
    """All columns in one statement; one by one those that PostgreSQL does not take, or not whole."""
    try:
        with builder.transaction():
            found = builder.execute(_RESTORE, (json.dumps([{"number": n} | row for n, row in enumerate(rows)]),))
            left = [rows[int(str(number))] for (number,) in found.fetchall()]
    except psycopg.Error:
        if builder.broken:
            raise
        left = list(rows)
    said: list[str] = []
    builder.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    return [problem for row in left for problem in _restore_one(builder, row, said)]


def _restore_one(builder: Connection, row: dict[str, Any], said: list[str]) -> Iterator[Unexamined]:
    said.clear()
    thing = f"statistics of {quote(row['schema'], row['relation'], row['column'])}"
    try:
        with builder.transaction():
            if builder.execute(_RESTORE, (json.dumps([{"number": 0} | row]),)).fetchone() is not None:
                yield Unexamined(thing, f"cannot be carried over whole: {'; '.join(said)}")
    except psycopg.Error as error:
        if builder.broken:
            raise
        yield Unexamined(thing, f"cannot be carried over: {error.diag.message_primary or error}")


def _rows(source: Source, tables: Iterable[Table], missing: set[str]) -> Iterator[dict[str, Any]]:
    for table in tables:
        for column in table.columns:
            for one in column.statistics:
                # Values of a type that has a stand-in cannot be read there; how many and how wide still counts.
                known = _values(one if column.extension not in missing else _bare(one))
                yield {"schema": table.schema, "relation": table.name, **known}
        for index in source.indexes_of(table):
            for one in index.statistics:
                yield {"schema": index.schema, "relation": index.name, **_values(one)}


def _values(one: ColumnStatistics) -> dict[str, Any]:
    # Not asdict(), which copies every value: this is half of the time.
    return {name: value for name in _FIELDS if (value := getattr(one, name)) is not None}


def _bare(one: ColumnStatistics) -> ColumnStatistics:
    return ColumnStatistics(one.column, one.inherited, one.null_frac, one.avg_width, one.n_distinct)
