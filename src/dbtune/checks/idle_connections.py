"""Most of many connections are idle: the pools are larger than the work.

**Why it matters.** Each connection is a process with memory of its own (some 2 to 10 MB), and makes every snapshot a
little dearer. When all of them become active at once, the machine has more to do than it has cores, and everybody
gets slower.

**What to do.** Make the pools smaller, and let them close what has been idle for minutes. With many application
processes, put PgBouncer in transaction mode between. What is active at once is what the size should follow: some
twice the number of processor cores is plenty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.sessions import Session, hidden
from dbtune.core.units import format_duration

LEAST_CONNECTIONS = 20
"""Below this a pool of usual size (10) for each of two processes is all there is."""
LEAST_IDLE_SHARE = 0.8
IDLE_S = 60.0
"""Idle for less may just be between two requests."""


def judge(rows: Sequence[Session], server: Audited) -> Verdicts:
    """LEAST_IDLE_SHARE of LEAST_CONNECTIONS visible sessions or more have been idle for IDLE_S. By application."""
    seen = [row for row in rows if not row.is_hidden]
    idle = [row for row in seen if row.state == "idle" and (row.state_age_s or 0) >= IDLE_S]
    if len(seen) >= LEAST_CONNECTIONS and len(idle) >= LEAST_IDLE_SHARE * len(seen):
        active = sum(row.state != "idle" for row in seen)
        owners = Counter(f"{row.role}@{row.database} {row.application}".strip() for row in idle)
        oldest_s = max(row.state_age_s or 0 for row in idle)
        most, count = owners.most_common(1)[0]
        yield CHECK.finding(
            "connections",
            f"{len(idle)} of {len(seen)} connections have been idle for a minute and more (up to"
            f" {format_duration(oldest_s)}), {active} are at work; {most} holds {count} of the idle ones",
            evidence={
                "connections": len(seen),
                "idle": len(idle),
                "not_idle": active,
                "idle_by_owner": dict(owners.most_common(10)),
                "longest_idle_s": round(oldest_s, 1),
            },
        )
    yield from hidden(CHECK.code, rows, server.user)


CHECK = Check("PG122", "idle-connections", "info", "audit_sessions", Session, judge)
