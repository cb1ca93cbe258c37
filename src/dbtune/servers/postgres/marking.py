"""Our own statements, told apart from the application's in pg_stat_statements, logs and pg_stat_activity.

A mark leads every statement, where people look for it. PostgreSQL 18 drops a leading comment from the texts of
pg_stat_statements, so one ends it as well.
"""

from __future__ import annotations

from typing import Any, Self

import psycopg
from psycopg import sql

MARK = "/* dbtune */"


class MarkedCursor(psycopg.Cursor[tuple[object, ...]]):
    """Ends every statement with the mark, on a line of its own: a person's SQL may end in a `--` comment."""

    def execute(self, query: Any, *args: Any, **options: Any) -> Self:  # noqa: ANN401 - psycopg's own signature
        return super().execute(_ended(query), *args, **options)


def _ended(query: str | bytes | sql.SQL | sql.Composed) -> str | bytes | sql.Composed:
    if isinstance(query, str):
        return f"{query}\n{MARK}"
    if isinstance(query, bytes):
        return query + f"\n{MARK}".encode()
    return sql.Composed([query, sql.SQL(f"\n{MARK}")])
