"""One run at a time per database: an advisory lock, polled.

A runner that *waits* inside pg_advisory_lock() holds a snapshot, for which a concurrent build of the other runner
waits in turn: a deadlock that no detector sees. So we try, sleep without a transaction, and try again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from dbtune.core.errors import Busy
from dbtune.core.progress import Progress, silent
from dbtune.core.units import format_duration
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.session import Connection

KEYS = (0x6462, 0x74756E65)
"""Two integers for pg_try_advisory_lock(int, int): "db" and "tune" in ASCII."""
WORK_KEYS = (0x6462, 0x776F726B)
"""Held, shared, by every session that makes a change: "db" and "work". It outlives a client that was killed."""
POLL_S = 0.5
ORPHAN_GRACE_S = 10.0
"""How long a killed run's last statement is waited for, unless it builds an index."""


@contextmanager
def only_run(
    connection: Connection,
    *,
    wait_s: float = 0.0,
    progress: Progress = silent,
    hint: str = "wait for it, or give --lock-wait 10min",
) -> Iterator[None]:
    """Holds the lock for as long as the body runs, and at most as long as the session lives.

    Raises Busy, naming the holder, when it is not to be had within `wait_s`.
    """
    give_up_at = time.monotonic() + wait_s
    while not _try(connection):
        if time.monotonic() >= give_up_at:
            raise Busy(
                f"another run of dbtune is changing this database: {_holder(connection)}",
                hint=hint,
            )
        progress(f"waiting for another run: {_holder(connection)}")
        time.sleep(POLL_S)
    try:
        _await_orphans(connection, max(wait_s, ORPHAN_GRACE_S), progress)
        yield
    finally:
        # A session that is lost has lost its locks as well.
        with contextlib.suppress(psycopg.Error):
            connection.execute("/* dbtune */ select pg_advisory_unlock(%s, %s)", KEYS)


def mark_working(connection: Connection) -> None:
    """Marks a session as one that makes a change, for as long as its backend lives. Never waits."""
    with translated("marking the session"):
        connection.execute("/* dbtune */ select pg_advisory_lock_shared(%s, %s)", WORK_KEYS)


def _await_orphans(connection: Connection, grace_s: float, progress: Progress) -> None:
    """What a killed run left at work on the server is waited for: a build to its end, anything else for a while.

    Planning before would see an index that is about to be, or collide with a statement that is about to be undone.
    Raises Busy, naming the backend.
    """
    give_up_at = time.monotonic() + grace_s
    while (orphan := _orphan(connection)) is not None:
        pid, phase = orphan
        if phase is None and time.monotonic() >= give_up_at:
            raise Busy(
                f"backend {pid} still works for a run of dbtune that was killed",
                hint=f"wait for it, or end it: select pg_terminate_backend({pid});",
            )
        progress(f"watching backend {pid}, left behind by a run that was killed: {phase or 'at work'}")
        time.sleep(POLL_S)


def _orphan(connection: Connection) -> tuple[int, str | None] | None:
    """The backend that still works, and the phase of the build that it does (None: something else)."""
    with translated("looking for what a killed run left at work"):
        row = connection.execute(
            "/* dbtune */ select held.pid, progress.phase"
            " from pg_locks held left join pg_stat_progress_create_index progress on progress.pid = held.pid"
            " where held.locktype = 'advisory' and held.classid = %s and held.objid = %s and held.objsubid = 2"
            " and held.database = (select oid from pg_database where datname = current_database())"
            " order by progress.phase nulls first limit 1",
            WORK_KEYS,
        ).fetchone()
    return None if row is None else (int(str(row[0])), None if row[1] is None else str(row[1]))


def _try(connection: Connection) -> bool:
    with translated("taking the lock against a second run"):
        row = connection.execute("/* dbtune */ select pg_try_advisory_lock(%s, %s)", KEYS).fetchone()
    return bool(row and row[0])


def _holder(connection: Connection) -> str:
    with translated("asking who holds the lock"):
        row = connection.execute(
            "/* dbtune */ select activity.pid, activity.usename,"
            " coalesce(host(activity.client_addr), 'a local socket'),"
            " extract(epoch from now() - activity.backend_start)::float8"
            " from pg_locks held join pg_stat_activity activity on activity.pid = held.pid"
            " where held.locktype = 'advisory' and held.classid = %s and held.objid = %s and held.granted"
            " and held.database = (select oid from pg_database where datname = current_database())",
            KEYS,
        ).fetchone()
    if row is None:
        return "it just ended"
    age = format_duration(float(str(row[3] or 0)))
    return f"backend {row[0]} of role {row[1]} from {row[2]}, connected for {age}"
