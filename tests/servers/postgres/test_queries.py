from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest

from dbtune.servers.postgres.queries import as_row


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    calls: int
    rows: int = 7


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ("'a' as name, 1 as calls, 2 as rows", 2),
        ("'a' as name, 1 as calls", 7),
        ("1 as calls, 'a' as name", 7),
        ("2 as rows, 1 as calls, 'a' as name", 2),
        ("'a' as name, 1 as calls, 2 as rows limit 1", 2),
    ],
)
def test_columns_are_found_by_their_names_in_whatever_order(postgres_dsn: str, columns: str, rows: int) -> None:
    with psycopg.connect(postgres_dsn) as connection, connection.cursor(row_factory=as_row(Row)) as cursor:
        assert cursor.execute(f"select {columns}".encode()).fetchall() == [Row("a", 1, rows)]


def test_a_column_that_the_row_does_not_have_is_an_error(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection, connection.cursor(row_factory=as_row(Row)) as cursor:
        with pytest.raises(TypeError):
            cursor.execute("select 'a' as name, 1 as calls, 2 as rows, 3 as more").fetchall()
        assert cursor.execute("select 'a' as name, 1 as calls where false").fetchall() == []
