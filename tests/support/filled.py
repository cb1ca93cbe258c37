"""A database that several tests share, filled once."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence

import psycopg
from psycopg import conninfo, sql


@contextlib.contextmanager
def filled(admin_dsn: str, statements: Sequence[str]) -> Iterator[str]:
    """The DSN of a new database in which the statements were run; dropped afterwards, whoever is still connected."""
    name = f"dbtune_filled_{secrets.token_hex(6)}"
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    dsn = conninfo.make_conninfo(admin_dsn, dbname=name)
    with psycopg.connect(dsn, autocommit=True) as session:
        for statement in statements:
            session.execute(statement.encode())
    yield dsn
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
