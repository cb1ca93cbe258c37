"""Compiling just in time (JIT) takes a good part of the time of statements that are short.

**Why it matters.** JIT pays for statements of many seconds. PostgreSQL decides by the estimated cost alone
(`jit_above_cost`), again at every execution, and keeps nothing: one that is thought dearer than it is waits for the
compiler each time, often longer than it runs. Partitioned tables multiply it, since each partition is compiled.

**What to do.** Bring the estimates right first (ANALYZE, extended statistics). Then raise `jit_above_cost` tenfold, or
turn `jit` off for the role that asks such statements; leave it on for the one that makes the reports.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import advise
from dbtune.checks.statement_totals import StatementTotal, StatementTotals
from dbtune.core.findings import Unexamined
from dbtune.core.units import format_duration

LEAST_SHARE = 0.25
"""Our judgement: JIT has to save a third of the rest to be even."""
MOST_MEAN_MS = 2_000.0
"""Our judgement: a longer statement may gain more from JIT than it loses."""
LEAST_CALLS = 2
LEAST_TOTAL_MS = 100.0
SERIOUS_TOTAL_MS = 60_000.0
"""A minute of compiling altogether is a warning, less is information."""
MOST_FINDINGS = 10


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """The MOST_FINDINGS that spend most on it."""
    for totals in rows:
        if not totals.counts_jit:
            yield Unexamined(
                CHECK.code,
                "this pg_stat_statements does not count what JIT takes",
                "version 1.10 does, which comes with PostgreSQL 15: upgrade, or `alter extension pg_stat_statements"
                " update`",
            )
            continue
        yield from totals.unseen(CHECK.code, server.user)
        wasteful = sorted((row for row in totals.rows if _is_wasteful(row)), key=lambda row: -row.jit_ms)
        for row in wasteful[:MOST_FINDINGS]:
            yield CHECK.finding(
                row.subject,
                f"JIT takes {_share(row):.0%} of the time: {format_duration(row.jit_ms / row.calls / 1000)} of"
                f" {format_duration(row.mean_ms / 1000)} a call,"
                f" {format_duration(row.jit_ms / 1000)} in {row.calls:,} calls",
                severity=CHECK.severity if row.jit_ms >= SERIOUS_TOTAL_MS else "info",
                evidence={
                    **row.evidence,
                    "jit_ms": round(row.jit_ms, 3),
                    "jit_share": round(_share(row), 3),
                    "jit_functions": row.jit_functions,
                },
                fix=advise("jit_above_cost", "1000000", scope="database", database=server.database),
            )


def _is_wasteful(row: StatementTotal) -> bool:
    enough = row.calls >= LEAST_CALLS and row.jit_ms >= LEAST_TOTAL_MS
    return enough and row.mean_ms <= MOST_MEAN_MS and _share(row) >= LEAST_SHARE


def _share(row: StatementTotal) -> float:
    """Some of the compiling is not within the execution time that is counted."""
    return min(row.jit_ms / row.exec_ms, 1.0) if row.exec_ms else 1.0


CHECK = Check(
    "PG110",
    "jit-small-queries",
    "warning",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
