"""Transactions have deadlocked.

**Why it matters.** Each deadlock costs a second of waiting (deadlock_timeout) for everybody involved, and one of the
transactions is undone with an error that the application has to repeat.

**What to do.** The log has both statements of each. Lock rows in the same order everywhere (`order by id for
update`), keep transactions short, index foreign keys, and repeat a transaction that fails with SQLSTATE 40P01.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals
from dbtune.core.units import format_duration

MANY_A_DAY = 5.0
"""A judgement: a single one may be a coincidence, a handful every day is a habit of the application."""


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """One or more; from MANY_A_DAY on a warning, once the statistics are a day old or the count alone suffices."""
    for row in rows:
        if not row.deadlocks:
            continue
        is_frequent = row.deadlocks / max(row.age_s / 86400.0, 1.0) >= MANY_A_DAY
        yield CHECK.finding(
            server.database,
            f"{row.deadlocks} deadlock{'s' if row.deadlocks > 1 else ''} in {format_duration(row.age_s)}",
            severity=CHECK.severity if is_frequent else "info",
            evidence={"deadlocks": row.deadlocks, "statistics_age_s": round(row.age_s)},
        )


CHECK = Check("PG112", "deadlocks", "warning", "audit_database", DatabaseTotals, judge)
