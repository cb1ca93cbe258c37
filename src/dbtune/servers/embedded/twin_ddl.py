"""Performs the twin's statements: many at once, and where one of them fails, one by one until nothing succeeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

from dbtune.core.findings import Unexamined
from dbtune.servers.embedded.twin_schema import Ddl
from dbtune.servers.postgres.session import Connection

AT_ONCE = 400
"""Statements in one transaction: each holds a few locks."""


def perform(connections: Sequence[Connection], stages: Iterable[Sequence[Sequence[Ddl]]]) -> tuple[Unexamined, ...]:
    """What could not be made, with PostgreSQL's reason. Their order does not matter, but a good one is faster.

    Lists of one stage are performed side by side, each on a connection of its own. Where a transaction fails, its
    statements are tried one by one, and what is left of all of them at the end again.
    """
    failed: list[Ddl] = []
    with ThreadPoolExecutor(len(connections)) as pool:
        for stage in stages:
            failed += [one for left in pool.map(_attempt, connections, stage) for one in left]
    return tuple(_one_by_one(connections[0], failed))


def execute(connection: Connection, text: str, *, alone: bool = False) -> None:
    """Performs somebody's text; `alone` it is one statement, whatever it may hold. Raises psycopg.Error."""
    try:
        # Binary forces the extended protocol, which takes no second statement.
        connection.cursor(binary=alone).execute(text.encode())
    except psycopg.Error:
        _end_copies(connection)
        raise


def _end_copies(connection: Connection) -> None:
    """A COPY that came with the text leaves the session waiting for data that nobody has."""
    wire = connection.pgconn
    while wire.transaction_status == TransactionStatus.ACTIVE and (result := wire.get_result()) is not None:
        if result.status == ExecStatus.COPY_IN:
            wire.put_copy_end(b"there are no rows in a dump")
        while result.status == ExecStatus.COPY_OUT and wire.get_copy_data(0)[0] > 0:
            pass


def _attempt(connection: Connection, statements: Sequence[Ddl]) -> list[Ddl]:
    """What failed."""
    failed: list[Ddl] = []
    for start in range(0, len(statements), AT_ONCE):
        chunk = statements[start : start + AT_ONCE]
        if not _at_once(connection, chunk):
            failed += [one for one in chunk if _try(connection, one.sql) is not None]
    return failed


def _at_once(connection: Connection, chunk: Sequence[Ddl]) -> bool:
    try:
        with connection.transaction():
            execute(connection, ";\n".join(one.sql for one in chunk))
    except psycopg.Error as error:
        _still_there(connection, error)
        return False
    return True


def _one_by_one(connection: Connection, statements: Sequence[Ddl]) -> Iterable[Unexamined]:
    """Again and again, since one may need another; in the end with what stands instead."""
    reasons: dict[Ddl, str] = {}
    waiting, progressed = list(statements), True
    while waiting and progressed:
        left = [one for one in waiting if (reason := _try(connection, one.sql)) and _note(reasons, one, reason)]
        progressed = len(left) < len(waiting)
        waiting = left
        if not progressed:
            left = [one for one in waiting if one.instead is None or _try(connection, one.instead) is not None]
            for one in waiting:
                if one not in left:
                    yield Unexamined(one.thing, f"stands in the twin without its peculiarities: {reasons[one]}")
            progressed, waiting = len(left) < len(waiting), left
    for one in waiting:
        yield Unexamined(one.thing, f"cannot be carried over into the twin: {reasons[one]}")


def _note(reasons: dict[Ddl, str], one: Ddl, reason: str) -> bool:
    reasons[one] = reason
    return True


def _try(connection: Connection, sql: str) -> str | None:
    """Why it failed."""
    try:
        execute(connection, sql, alone=True)
    except psycopg.Error as error:
        _still_there(connection, error)
        return error.diag.message_primary or str(error).strip()
    return None


def _still_there(connection: Connection, error: psycopg.Error) -> None:
    """A lost connection is no word about a statement."""
    if connection.broken or connection.closed:
        raise error
