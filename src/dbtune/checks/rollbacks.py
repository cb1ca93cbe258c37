"""A large share of the transactions is rolled back.

**Why it matters.** Their work is done and thrown away, their rows are dead at once and want a vacuum. Usually errors
are behind it: violated constraints, time-outs, serialization failures, deadlocks.

**What to do.** The log tells the errors (`log_min_error_statement`). Some applications and poolers end reading
transactions with ROLLBACK out of habit: that is harmless, and can be accepted.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals

LEAST_SHARE = 0.1
"""A judgement: an application has errors, but not in every tenth transaction."""
LEAST_TRANSACTIONS = 1000


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """At least LEAST_SHARE of at least LEAST_TRANSACTIONS."""
    for row in rows:
        total = row.commits + row.rollbacks
        if total < LEAST_TRANSACTIONS or row.rollbacks < LEAST_SHARE * total:
            continue
        yield CHECK.finding(
            server.database,
            f"{row.rollbacks / total:.0%} of {total} transactions were rolled back",
            evidence={
                "rollbacks": row.rollbacks,
                "commits": row.commits,
                "share": round(row.rollbacks / total, 4),
                "statistics_age_s": round(row.age_s),
            },
        )


CHECK = Check("PG113", "rollbacks", "info", "audit_database", DatabaseTotals, judge)
