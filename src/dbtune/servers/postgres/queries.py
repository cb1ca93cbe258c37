"""The packaged SQL: `sql/postgres/NAME.sql` is for the oldest version, `NAME.since16.sql` wins from 16 on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from psycopg import Cursor
from psycopg.rows import RowMaker, class_row

from dbtune.core.resources import resource
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.marking import MARK
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection

Row = TypeVar("Row")

NAMES_ON_THE_USERS_PATH = "-- Names are looked up and printed on the role's own search path."
"""A line of a packaged statement. Without it names need their schema, and are printed with it."""
_CURSOR = b"dbtune_rows"

_VARIANT = re.compile(r"(?P<name>[a-z0-9_]+)(?:\.since(?P<major>\d+))?\.sql")


def as_row(row: type[Row]) -> Callable[[Cursor[Any]], RowMaker[Row]]:
    """Psycopg's `class_row`, in half the time where the columns are the first fields of a dataclass, in their order."""
    known = [field.name for field in fields(row)] if is_dataclass(row) else []

    def make(cursor: Cursor[Any]) -> RowMaker[Row]:
        columns = [column.name for column in cursor.description or ()]
        if not columns or columns != known[: len(columns)]:
            return class_row(row)(cursor)
        return lambda values: row(*values)

    return make


@cache
def statement(name: str, version: int) -> str:
    """The text of the newest variant that suits `version` (server_version_num). Raises FileNotFoundError: our bug."""
    major = version // 10000
    best: tuple[int, str] | None = None
    for path in resource("sql").joinpath("postgres").glob(f"{name}*.sql"):
        match = _VARIANT.fullmatch(path.name)
        if match is None or match["name"] != name:
            continue
        since = int(match["major"] or 0)
        if since <= major and (best is None or since > best[0]):
            best = (since, path.read_text(encoding="utf-8"))
    if best is None:
        raise FileNotFoundError(f"sql/postgres/{name}.sql")
    return f"{MARK} {best[1].rstrip()}"


def fetch(
    connection: Connection, name: str, row: type[Row], params: Mapping[str, Any] | None = None
) -> tuple[Row, ...]:
    """Every row of a packaged statement as `row`, whose fields are the statement's columns."""
    sql = statement(name, connection.info.server_version)
    with translated(f"reading {name}"), connection.cursor(row_factory=as_row(row)) as cursor:
        if NAMES_ON_THE_USERS_PATH in sql:
            return tuple(_fetch_on_the_users_path(connection, cursor, sql, params or {}))
        return tuple(cursor.execute(sql.encode(), params or {}).fetchall())


def _fetch_on_the_users_path(
    connection: Connection, cursor: Cursor[Row], sql: str, params: Mapping[str, Any]
) -> Sequence[Row]:
    """A cursor is read and planned when it is declared, on our path. Rows are fetched on the role's, where functions
    such as to_regclass() and pg_get_indexdef() then look for names.
    """
    with connection.transaction():
        # All rows are wanted, not the first ones soon.
        connection.execute("/* dbtune */ set local cursor_tuple_fraction = 1")
        connection.execute(b"declare " + _CURSOR + b" no scroll cursor for " + sql.encode(), params)
        with users_path(connection):
            rows = cursor.execute(b"/* dbtune */ fetch all from " + _CURSOR).fetchall()
        connection.execute(b"/* dbtune */ close " + _CURSOR)
        return rows
