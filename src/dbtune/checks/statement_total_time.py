"""A statement that takes a large part of the time of all statements.

**Why it matters.** What a server spends its time on decides what tuning can save. A fast statement that runs a
million times may cost more than a slow one that runs twice: the total is what the machine pays.

**What to do.** `dbtune explain --queryid ID` shows its plan. Where a single call is slow, look for an index; where
the calls are many, cache the answer, fetch several rows at once, or ask less often.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_share import LEAST_SHARE as OUTSIZED_SHARE
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.units import format_duration

LEAST_SHARE = 0.1
"""Below a tenth of the time, no change to one statement is felt (Amdahl: at most 11 % faster)."""
LEAST_TOTAL_MS = 1000.0
"""On a server that has hardly worked, shares mean nothing."""
MOST_FINDINGS = 5


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """The MOST_FINDINGS longest in total; those from OUTSIZED_SHARE on are statement-share's."""
    for totals in rows:
        yield from totals.unseen(CHECK.code, server.user)
        total_ms = totals.total_ms
        heavy = [
            row
            for row in totals.queries()
            if row.toplevel and row.exec_ms >= LEAST_TOTAL_MS and LEAST_SHARE <= row.exec_ms / total_ms < OUTSIZED_SHARE
        ]
        for row in heavy[:MOST_FINDINGS]:
            share = row.exec_ms / total_ms
            yield CHECK.finding(
                row.subject,
                f"{share:.0%} of all statements' time: {format_duration(row.exec_ms / 1000)} in {row.calls} calls",
                evidence={**row.evidence, "share": round(share, 4)},
            )


CHECK = Check(
    "PG101",
    "statement-total-time",
    "info",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
