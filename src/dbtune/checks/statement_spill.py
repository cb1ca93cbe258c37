"""A statement whose sorts or hashes spill into temporary files.

**Why it matters.** What does not fit into work_mem is written to disk and read again: slower by a factor, and it
pushes other tables out of the operating system's cache.

**What to do.** An index in the order of the sort saves the memory altogether. Else give this statement more work_mem
(`set local work_mem` in its transaction), or sort and hash fewer and narrower rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.units import format_size

LEAST_BYTES_PER_CALL = 64 << 10
"""Below eight pages nobody feels it; the smallest work_mem that PostgreSQL accepts is 64 kB."""
LEAST_TOTAL_BYTES = 1 << 20
MANY_BYTES_PER_CALL = 64 << 20
MOST_FINDINGS = 10


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """The MOST_FINDINGS that write most; large spills are a warning."""
    for totals in rows:
        yield from totals.unseen(CHECK.code, server.user)
        spilling = [
            row
            for row in totals.queries()
            if row.temp_written_bytes >= LEAST_TOTAL_BYTES
            and row.temp_written_bytes >= LEAST_BYTES_PER_CALL * max(row.calls, 1)
        ]
        for row in sorted(spilling, key=lambda row: -row.temp_written_bytes)[:MOST_FINDINGS]:
            per_call = row.temp_written_bytes // max(row.calls, 1)
            is_large = per_call >= MANY_BYTES_PER_CALL or row.mean_ms >= server.slow_s * 1000
            yield CHECK.finding(
                row.subject,
                f"{format_size(per_call)} of temporary files per call, {format_size(row.temp_written_bytes)} in"
                f" {row.calls} calls; work_mem is {format_size(totals.work_mem_bytes)}",
                severity=CHECK.severity if is_large else "info",
                evidence={
                    **row.evidence,
                    "temp_bytes_per_call": per_call,
                    "temp_bytes": row.temp_written_bytes,
                    "work_mem_bytes": totals.work_mem_bytes,
                },
            )


CHECK = Check(
    "PG105",
    "statement-spill",
    "warning",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
