"""The application's door to PostgreSQL: it counts what goes through."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

Document = dict[str, Any]
"""A row by its column names, or what an endpoint answers: everything in it can be written as JSON."""


class Database:
    """One connection in autocommit. `statements` counts every statement sent since it was opened."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.statements = 0

    def rows(self, statement: str, *parameters: object) -> list[Document]:
        self.statements += 1
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), parameters).fetchall()

    def row(self, statement: str, *parameters: object) -> Document | None:
        """The first row, None when there is none."""
        found = self.rows(statement, *parameters)
        return found[0] if found else None

    def change(self, statement: str, *parameters: object) -> int:
        """The number of rows changed."""
        self.statements += 1
        return self._connection.execute(statement.encode(), parameters).rowcount


def connect(dsn: str) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, autocommit=True, application_name="media-backend")
