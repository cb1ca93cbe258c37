"""One statement that takes a third of the time of all statements, or more.

**Why it matters.** Nothing else on the server matters as much. Halving this statement frees a sixth of the
database's work or more, for everybody.

**What to do.** `dbtune explain --queryid ID` shows its plan and what to try. An index, a smaller answer, a cache in
front of it, or fewer calls: whichever it is, measure before and after (`dbtune baseline`).
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.units import format_duration

LEAST_SHARE = 1 / 3
"""A statement of 33 % or more: the threshold of the field's health checks."""
LEAST_TOTAL_MS = 1000.0
"""On a server that has hardly worked, shares mean nothing."""
LEAST_STATEMENTS = 3
"""Where there are only one or two, one of them always has a large share."""


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """Top-level queries with at least LEAST_SHARE of the time of all, hidden ones included."""
    for totals in rows:
        yield from totals.unseen(CHECK.code, server.user)
        total_ms = totals.total_ms
        if len(totals.rows) < LEAST_STATEMENTS:
            continue
        for row in totals.queries():
            if not row.toplevel or row.exec_ms < LEAST_TOTAL_MS or row.exec_ms < LEAST_SHARE * total_ms:
                continue
            share = row.exec_ms / total_ms
            yield CHECK.finding(
                row.subject,
                f"{share:.0%} of all statements' time: {format_duration(row.exec_ms / 1000)} in {row.calls} calls,"
                f" {format_duration(row.mean_ms / 1000)} each",
                evidence={**row.evidence, "share": round(share, 4)},
            )


CHECK = Check(
    "PG104",
    "statement-share",
    "warning",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
