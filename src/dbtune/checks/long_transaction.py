"""A transaction has been at work for long.

**Why it matters.** Vacuum removes no row that died since it began, in any table of the database; tables and indexes
grow meanwhile, and a concurrent index build waits for its end.

**What to do.** See whether somebody still wants the result. Split large changes into portions; run reports on a
replica; give statements a statement_timeout. pg_cancel_backend stops the statement, not the session.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.idle_in_transaction import STATES
from dbtune.checks.sessions import Session, hidden
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LEAST_S = 300.0
"""Five minutes: autovacuum looks in every minute, and has then been held back five times."""
VERY_LONG_S = 3600.0


def judge(rows: Sequence[Session], server: Audited) -> Verdicts:
    """Transactions of LEAST_S and more that are not idle; idle ones are idle-in-transaction's."""
    for row in rows:
        age_s = row.transaction_age_s or 0.0
        if row.state in STATES or age_s < LEAST_S:
            continue
        yield CHECK.finding(
            row.subject,
            f"a transaction has been at work for {format_duration(age_s)}",
            severity=CHECK.severity if age_s >= VERY_LONG_S else "info",
            evidence={**row.evidence, "transaction_age_s": round(age_s, 3)},
            fix=Fix(sql=(f"select pg_cancel_backend({row.pid});",)),
        )
    yield from hidden(CHECK.code, rows, server.user)


CHECK = Check("PG125", "long-transaction", "warning", "audit_sessions", Session, judge)
