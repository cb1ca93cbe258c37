"""Pieces of a warm-up's SELECT that are read on a person's search path: each name in them is called pg_catalog's."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

NO_BYTES = sql.SQL("''::pg_catalog.bytea")


def argument(value: sql.Composable) -> sql.Composable:
    """An argument as it goes over the wire, its own line's end in front."""
    length = as_text(sql.SQL("pg_catalog.octet_length({})").format(value))
    line = joined([as_text(sql.SQL("e'\\r\\n$'")), length, as_text(sql.SQL("e'\\r\\n'"))])
    return sql.SQL("({})").format(joined([in_bytes(line), value]))


def as_text(value: sql.Composable) -> sql.Composable:
    return sql.SQL("{}::pg_catalog.text").format(value)


def in_bytes(text: sql.Composable) -> sql.Composable:
    return sql.SQL("pg_catalog.convert_to({}, 'UTF8')").format(text)


def joined(values: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(" operator(pg_catalog.||) ").join(values)


def gathered(values: sql.Composable, order: sql.Composable | None = None) -> sql.Composable:
    """All of them after one another, as one bytea."""
    by = sql.SQL("") if order is None else sql.SQL(" order by {}").format(order)
    return sql.SQL("pg_catalog.string_agg({}, {}{})").format(values, NO_BYTES, by)


def twice(count: sql.Composable) -> sql.Composable:
    return sql.SQL("(2 operator(pg_catalog.*) {})::pg_catalog.int4").format(count)
