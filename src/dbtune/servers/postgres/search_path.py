"""Whose search path a statement is read on: ours, where only PostgreSQL's own names are found, or the role's.

Every session of dbtune keeps `pg_catalog, pg_temp`. On the role's own path others may have put a function, an operator
or a table that suits one of our statements better than PostgreSQL's own, and it would run with the rights of whoever
runs dbtune (CVE-2018-1058). What a person wrote means the names on the role's path: it is run within `users_path`, and
of ours nothing is, unless its every name says that it is `pg_catalog`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

OURS = "pg_catalog, pg_temp"
"""pg_temp last: unnamed, it would be looked through first."""
REMEMBERED = "dbtune.search_path"
"""A setting of the session's own that holds the role's path."""

# Without what is remembered (a session that dbtune has not opened) it is NULL, which stands for the role's default.
_ENTER = (
    "/* dbtune */ select pg_catalog.current_setting('search_path'),"
    f" pg_catalog.set_config('search_path', pg_catalog.current_setting('{REMEMBERED}', true), %s)"
)
_LEAVE = "/* dbtune */ select pg_catalog.set_config('search_path', %s, false)"


@contextmanager
def users_path(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """The body's statements are a person's, or qualified throughout. Raises psycopg's errors.

    Within a transaction the path is that transaction's, so that a rollback takes it back as well.
    """
    within = connection.info.transaction_status == TransactionStatus.INTRANS
    row = connection.execute(_ENTER, (within,)).fetchone()
    try:
        yield
    finally:
        # In a failed transaction nothing can be said: its rollback does it. Whatever the person set besides is undone.
        if connection.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            connection.execute(_LEAVE, (row[0] if row else OURS,))
