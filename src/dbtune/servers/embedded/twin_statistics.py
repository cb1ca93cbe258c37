"""The planner's statistics of columns: since 18 there is a function that takes them, before they are stored by hand."""

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
from dbtune.servers.embedded.twin_sessions import OWNER
from dbtune.servers.postgres.queries import statement
from dbtune.servers.postgres.session import Connection

_FUNCTION_SINCE = 180000
_PARTLY = "cannot be carried over whole: {}"
_FIELDS = tuple(field.name for field in fields(ColumnStatistics))


def load_statistics(
    admins: Sequence[Connection], builders: Sequence[Connection], source: Source, missing: set[str]
) -> list[Unexamined]:
    """What PostgreSQL would not take. Connections work side by side, but never on one table: each locks its tables."""
    # The function asks for the tables' owner only, whom a dump's texts may meet; the catalog for a superuser.
    sessions = builders if builders[0].info.server_version >= _FUNCTION_SINCE else admins
    parts = [list(_rows(source, source.tables[side :: len(sessions)], missing)) for side in range(len(sessions))]
    with ThreadPoolExecutor(len(sessions)) as pool:
        return [problem for problems in pool.map(_store, sessions, parts) for problem in problems]


def _store(session: Connection, rows: Sequence[dict[str, Any]]) -> list[Unexamined]:
    """All columns in one statement; one by one those that it does not take, or not whole and does not say why."""
    try:
        with session.transaction():
            left = _stored(session, rows)
    except psycopg.Error:
        if session.broken:
            raise
        left = dict.fromkeys(range(len(rows)))
    said: list[str] = []
    session.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    reasons = ((rows[number], reason or _store_one(session, rows[number], said)) for number, reason in left.items())
    return [
        Unexamined(f"statistics of {quote(row['schema'], row['relation'], row['column'])}", reason)
        for row, reason in reasons
        if reason is not None
    ]


def _store_one(session: Connection, row: dict[str, Any], said: list[str]) -> str | None:
    """Why it was not taken whole, if it was not."""
    said.clear()
    try:
        with session.transaction():
            for reason in _stored(session, [row]).values():
                return reason or _PARTLY.format("; ".join(said))
    except psycopg.Error as error:
        if session.broken:
            raise
        return f"cannot be carried over: {error.diag.message_primary or error}"
    return None


def _stored(session: Connection, rows: Sequence[dict[str, Any]]) -> dict[int, str | None]:
    """The places of those that were not taken whole, with the reason where it is known. Raises psycopg.Error."""
    found = session.execute(
        statement("twin_store_statistics", session.info.server_version).encode(),
        {"statistics": json.dumps([{"number": number} | row for number, row in enumerate(rows)]), "owner": OWNER},
    ).fetchall()
    return {int(str(number)): None if reason is None else _PARTLY.format(reason) for number, reason in found}


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
