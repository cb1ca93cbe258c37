"""A statement over the slow limit: 100 ms unless you say otherwise.

**Why it matters.** From a tenth of a second on, people notice that they wait, and a connection that is busy for that
long serves at most ten requests a second.

**What to do.** `dbtune explain --queryid ID` shows where the time goes. A statement that is over the limit only at
times (its mean is below it) depends on its values, on locks or on a cold cache: the slow log and auto_explain catch
such a call with its values.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_totals import StatementTotal, StatementTotals
from dbtune.core.units import format_duration

LEAST_CALLS = 2
"""One call is a migration or a person at a prompt."""
MOST_FINDINGS = 20


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """Over the limit on average: a warning. Only at times, within one standard deviation of it: information."""
    limit_ms = server.slow_s * 1000
    for totals in rows:
        yield from totals.unseen(CHECK.code, server.user)
        slow = [row for row in totals.queries() if row.calls >= LEAST_CALLS and row.max_ms >= limit_ms]
        always = [row for row in slow if row.mean_ms >= limit_ms]
        at_times = [row for row in slow if row.mean_ms < limit_ms <= row.mean_ms + row.stddev_ms]
        for row in (always + at_times)[:MOST_FINDINGS]:
            yield CHECK.finding(
                row.subject,
                _words(row, limit_ms),
                severity=CHECK.severity if row.mean_ms >= limit_ms else "info",
                evidence={
                    **row.evidence,
                    "stddev_ms": round(row.stddev_ms, 3),
                    "limit_ms": limit_ms,
                    "toplevel": row.toplevel,
                },
            )
        if len(slow_ones := always + at_times) > MOST_FINDINGS:
            yield CHECK.finding(
                "more statements",
                f"{len(slow_ones) - MOST_FINDINGS} more statements are over {format_duration(server.slow_s)}",
                evidence={"statements": len(slow_ones), "limit_ms": limit_ms},
            )


def _words(row: StatementTotal, limit_ms: float) -> str:
    mean, limit = format_duration(row.mean_ms / 1000), format_duration(limit_ms / 1000)
    longest = format_duration(row.max_ms / 1000)
    if row.mean_ms >= limit_ms:
        return f"{mean} on average over {row.calls} calls, the longest {longest}; the limit is {limit}"
    return f"over {limit} at times: the longest call took {longest}, the mean of {row.calls} is {mean}"


CHECK = Check(
    "PG103",
    "statement-over-limit",
    "warning",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
