"""The connections run out.

**Why it matters.** At the limit the server refuses everybody but superusers, the application's health checks and
its deployments included.

**What to do.** A pool, or PgBouncer in front of the server, serves thousands of clients with a few dozen connections.
Raising max_connections takes a restart and memory, and makes a busy server slower, not faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts

NEAR_SHARE = 0.8
FULL_SHARE = 0.95
"""check_postgres warns from 90 % on and alarms from 95 %; earlier here, since a pool takes time to set up."""


@dataclass(frozen=True, slots=True)
class Connections:
    """`reserved` of `maximum` are for superusers and the like. `database_limit` is CONNECTION LIMIT; -1 is none."""

    used: int
    maximum: int
    reserved: int
    database_limit: int
    database_used: int


def judge(rows: Sequence[Connections], server: Audited) -> Verdicts:
    """Of the server's, and of the database's own limit where it has one."""
    for row in rows:
        yield from _near("max_connections", row.used, row.maximum - row.reserved, row.reserved)
        if row.database_limit > 0:
            yield from _near(server.database, row.database_used, row.database_limit, 0)


def _near(subject: str, used: int, free_for_all: int, reserved: int) -> Verdicts:
    if used < NEAR_SHARE * free_for_all:
        return
    yield CHECK.finding(
        subject,
        f"{used} of {free_for_all} connections are taken" + (f", {reserved} more are reserved" if reserved else ""),
        severity="critical" if used >= FULL_SHARE * free_for_all else "warning",
        evidence={"used": used, "limit": free_for_all, "reserved": reserved},
    )


CHECK = Check("PG121", "connections-near-limit", "warning", "audit_connections", Connections, judge)
