"""A frequent statement that is slow on average, though still under the slow limit.

**Why it matters.** A slow log with a limit of 100 ms never shows it, yet each of its many callers waits.

**What to do.** `dbtune explain --queryid ID`: most often an index is missing, or it reads more rows than it returns.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.units import format_duration

LEAST_MEAN_MS = 20.0
LEAST_CALLS = 100
"""PgHero's slow queries: 20 ms and 100 calls."""
MOST_FINDINGS = 10


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """The slowest by mean between LEAST_MEAN_MS and the slow limit; above it statement-over-limit speaks."""
    for totals in rows:
        yield from totals.unseen(CHECK.code, server.user)
        slow = [
            row
            for row in totals.queries()
            if row.calls >= LEAST_CALLS and LEAST_MEAN_MS <= row.mean_ms < server.slow_s * 1000
        ]
        for row in sorted(slow, key=lambda row: -row.mean_ms)[:MOST_FINDINGS]:
            yield CHECK.finding(
                row.subject,
                f"{format_duration(row.mean_ms / 1000)} on average over {row.calls} calls",
                evidence={**row.evidence, "stddev_ms": round(row.stddev_ms, 3), "toplevel": row.toplevel},
            )


CHECK = Check(
    "PG102",
    "statement-mean-time",
    "info",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
