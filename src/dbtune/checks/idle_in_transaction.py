"""A session is idle within a transaction.

**Why it matters.** Its locks stay, and as long as it has a snapshot, vacuum removes no row that died since, in any
table of the database. Statements that want a conflicting lock queue up behind it.

**What to do.** Find the code that opens a transaction and then waits (for a network call, a person, a lock in the
application), and commit before it waits. idle_in_transaction_session_timeout ends such sessions; pg_terminate_backend
ends this one, and undoes what it did.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.sessions import Session, end_session, hidden
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LEAST_IDLE_S = 10.0
"""A request that is at work pauses for milliseconds within a transaction."""
LONG_S = 60.0
VERY_LONG_S = 3600.0
STATES = ("idle in transaction", "idle in transaction (aborted)")


def judge(rows: Sequence[Session], server: Audited) -> Verdicts:
    """Idle for LEAST_IDLE_S: information; LONG_S: a warning; VERY_LONG_S: critical."""
    for row in rows:
        idle_s = row.state_age_s or 0.0
        if row.state not in STATES or idle_s < LEAST_IDLE_S:
            continue
        transaction_s = row.transaction_age_s or 0.0
        severity = "critical" if idle_s >= VERY_LONG_S else "warning" if idle_s >= LONG_S else "info"
        yield CHECK.finding(
            row.subject,
            f"{row.state} for {format_duration(idle_s)}; the transaction is {format_duration(transaction_s)} old",
            severity=severity,
            evidence={
                **row.evidence,
                "idle_s": round(idle_s, 3),
                "transaction_age_s": round(transaction_s, 3),
            },
            fix=Fix(sql=(end_session(row.pid),)),
        )
    yield from hidden(CHECK.code, rows, server.user)


CHECK = Check("PG124", "idle-in-transaction", "warning", "audit_sessions", Session, judge)
