"""A database that several tests share, filled once, and copies of it for those that change it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence

import psycopg
from psycopg import conninfo, sql


@contextlib.contextmanager
def filled(admin_dsn: str, statements: Sequence[str], template: str = "template0") -> Iterator[str]:
    """The DSN of a new database in which the statements were run; dropped afterwards, whoever is still connected."""
    name = f"dbtune_filled_{secrets.token_hex(6)}"
    made = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(made)
    dsn = conninfo.make_conninfo(admin_dsn, dbname=name)
    with psycopg.connect(dsn, autocommit=True) as session:
        for statement in statements:
            session.execute(statement.encode())
    yield dsn
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextlib.contextmanager
def copied(admin_dsn: str, dsn: str) -> Iterator[str]:
    """The DSN of a copy of that database, a tenth of the work of filling it again; its activity is not copied."""
    with filled(admin_dsn, (), template=str(conninfo.conninfo_to_dict(dsn)["dbname"])) as copy:
        yield copy
