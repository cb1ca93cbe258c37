"""The rows of a warm-up as PostgreSQL makes them: the JSON, the keys' columns, bytes throughout."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from psycopg import ServerCursor, sql
from psycopg.postgres import types
from psycopg.types.string import ByteaBinaryLoader

from dbtune.core.actions import WarmKeys
from dbtune.core.errors import ChangeFailed, DbtuneError
from dbtune.core.key_template import KeyTemplate
from dbtune.core.query_text import bare_query
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.session import Connection

Row = tuple[bytes | None, ...]
"""The value, then one element for each column of the key template."""

_BYTEA = types["bytea"].oid
_FIRST_ROWS, _MOST_ROWS = 100, 2000
_FETCH_BYTES = 1 << 20


@contextmanager
def opened_rows(connection: Connection, action: WarmKeys) -> Iterator[Iterator[tuple[Row, ...]]]:
    """The rows in batches of about a megabyte, from one snapshot that sees the database as it is now.

    The transaction is read-only: the server refuses a query that writes. Texts come in UTF-8, bytea as it is.
    Raises ChangeFailed for a query that does not run or lacks a column of the template, before the first row.
    """
    doing = f"reading the rows of {action.key}"
    with translated(doing), connection.transaction():
        connection.execute("/* dbtune */ set transaction isolation level repeatable read, read only")
        # What an application's client would have read, whatever this role or this database prefers.
        connection.execute("/* dbtune */ set local client_encoding to 'UTF8'")
        connection.execute("/* dbtune */ set local datestyle to 'ISO, YMD'")
        statement = _statement(connection, action)
        with connection.cursor("dbtune_warm", binary=True) as cursor:
            cursor.adapters.register_loader("text", ByteaBinaryLoader)
            cursor.execute(statement)
            yield _batches(cursor, doing)


def _batches(cursor: ServerCursor[tuple[object, ...]], doing: str) -> Iterator[tuple[Row, ...]]:
    """As many rows at a time as make a megabyte, by the size of those before."""
    rows_at_once = _FIRST_ROWS
    while True:
        with translated(doing):
            # The cursor's loaders make bytes of every column.
            batch = cast("tuple[Row, ...]", tuple(cursor.fetchmany(rows_at_once)))
        if not batch:
            return
        yield batch
        row_bytes = sum(len(value) for row in batch for value in row if value is not None) / len(batch)
        rows_at_once = max(1, min(_MOST_ROWS, int(_FETCH_BYTES / (row_bytes + 1))))


def _statement(connection: Connection, action: WarmKeys) -> sql.Composed:
    """The query within ours, so that the server makes the JSON; a newline ends a comment that it ends with."""
    try:
        query = bare_query(action.query)
    except ValueError as error:
        raise ChangeFailed(f"reading the rows of {action.key}: {error}", hint="correct the step's query") from error
    inner = sql.SQL("(\n{}\n) as q").format(_verbatim(query))
    types_by_column = _types(connection, inner)
    wanted = KeyTemplate.parse(action.key).columns
    for column in (*wanted, *((action.value,) if action.value is not None else ())):
        if column not in types_by_column:
            raise _missing(column, tuple(types_by_column), action)

    as_bytes = {
        name: sql.SQL("q.{}{}").format(sql.Identifier(name), sql.SQL("" if oid == _BYTEA else "::text"))
        for name, oid in types_by_column.items()
    }
    value = sql.SQL("row_to_json(q)::text") if action.value is None else as_bytes[action.value]
    columns = sql.SQL(", ").join([value, *(as_bytes[name] for name in wanted)])
    return sql.SQL("/* dbtune */ select {} from {}").format(columns, inner)


def _types(connection: Connection, inner: sql.Composed) -> dict[str, int]:
    """The types' oids by the names of the query's columns."""
    statement = sql.SQL("/* dbtune */ select * from {} limit 0").format(inner)
    # Binary forces the extended protocol, which takes one statement only: no `) q; commit; drop table`.
    described = connection.cursor(binary=True).execute(statement).description
    return {column.name: column.type_code for column in described or ()}


def _verbatim(query: str) -> sql.SQL:
    """The one place where a person's own SQL goes into ours; the read-only transaction is what guards it."""
    return sql.SQL(query)


def _missing(column: str, columns: tuple[str, ...], action: WarmKeys) -> DbtuneError:
    folded = {name.lower(): name for name in columns}
    near = difflib.get_close_matches(column.lower(), folded, n=1)
    has = ", ".join(columns) or "none"
    return ChangeFailed(
        f"warming {action.key}: the query has no column {column!r}; it has {has}",
        hint=f"did you mean {folded[near[0]]!r}?" if near else "select the column, or rename it with AS",
    )
