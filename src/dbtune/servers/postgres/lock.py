"""One run at a time per database: an advisory lock, polled.

A runner that *waits* inside pg_advisory_lock() holds a snapshot, for which a concurrent build of the other runner
waits in turn: a deadlock that no detector sees. So we try, sleep without a transaction, and try again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dbtune.core.errors import Busy
from dbtune.core.progress import Progress, silent
from dbtune.core.units import format_duration
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.session import Connection

KEYS = (0x6462, 0x74756E65)
"""Two integers for pg_try_advisory_lock(int, int): "db" and "tune" in ASCII."""
POLL_S = 0.5


@contextmanager
def only_run(connection: Connection, *, wait_s: float = 0.0, progress: Progress = silent) -> Iterator[None]:
    """Holds the lock for as long as the body runs, and at most as long as the session lives.

    Raises Busy, naming the holder, when it is not to be had within `wait_s`.
    """
    give_up_at = time.monotonic() + wait_s
    while not _try(connection):
        if time.monotonic() >= give_up_at:
            raise Busy(
                f"another run of dbtune is changing this database: {_holder(connection)}",
                hint="wait for it, or give --lock-wait 10min",
            )
        progress(f"waiting for another run: {_holder(connection)}")
        time.sleep(POLL_S)
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            connection.execute("/* dbtune */ select pg_advisory_unlock(%s, %s)", KEYS)


def _try(connection: Connection) -> bool:
    with translated("taking the lock against a second run"):
        row = connection.execute("/* dbtune */ select pg_try_advisory_lock(%s, %s)", KEYS).fetchone()
    return bool(row and row[0])


def _holder(connection: Connection) -> str:
    row = connection.execute(
        "/* dbtune */ select activity.pid, activity.usename, coalesce(activity.client_addr::text, 'a local socket'),"
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
