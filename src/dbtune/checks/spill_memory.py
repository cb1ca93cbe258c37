"""A work_mem that would keep what spills now in memory.

**Why it matters.** work_mem bounds each sort and each hash of each session. Too small, and they go through temporary
files; too large, and many sessions at once exhaust the machine.

**What to do.** The value here comes from what the statements wrote per call. Set it for the database only if the
machine has the memory for many sessions at once; else for the role or the one statement that needs it, with
`set local work_mem` in its transaction. SQL cannot see how much memory the machine has: judge that yourself.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_spill import LEAST_BYTES_PER_CALL, LEAST_TOTAL_BYTES
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.findings import Fix
from dbtune.core.identifiers import quote
from dbtune.core.units import format_size

MEMORY_PER_FILE_BYTE = 3
"""A tuple in memory carries a header and its pointers, which its form on disk leaves out; with the narrow rows that
are common, a sort needs two to three times the size of its files."""
LARGEST_BYTES = 256 << 20
"""More than this for everybody is never advised: it is one statement's business."""
COVERED_SHARE = 0.9
"""The value is meant for nine tenths of the bytes that spill, not for the one report of the month."""


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """At most one finding: the smallest power of two that keeps most of what spills in memory."""
    for totals in rows:
        yield from totals.unseen(CHECK.code, server.user)
        spilling = sorted(
            (row.temp_written_bytes // max(row.calls, 1), row.temp_written_bytes)
            for row in totals.queries()
            if row.temp_written_bytes >= LEAST_TOTAL_BYTES
            and row.temp_written_bytes >= LEAST_BYTES_PER_CALL * max(row.calls, 1)
        )
        if not spilling:
            continue
        everything, covered, largest = sum(size for _, size in spilling), 0, 0
        for per_call, written in spilling:
            covered, largest = covered + written, per_call
            if covered >= COVERED_SHARE * everything:
                break
        needed = largest * MEMORY_PER_FILE_BYTE
        yield CHECK.finding(
            "work_mem",
            _words(totals, wanted := _power_of_two(needed), len(spilling)),
            evidence={
                "work_mem_bytes": totals.work_mem_bytes,
                "needed_bytes": needed,
                "spilling_statements": len(spilling),
                "temp_bytes": everything,
                "max_connections": totals.max_connections,
            },
            fix=_fix(totals, wanted, server.database),
            confidence="heuristic",
        )


def _power_of_two(size_bytes: int) -> int:
    return int(1 << max((size_bytes - 1).bit_length(), 20))


def most_for_everybody(totals: StatementTotals) -> int:
    """A quarter of the cache that the planner reckons with, over all connections; from 16 MB to LARGEST_BYTES."""
    return min(max(totals.cache_bytes // 4 // totals.max_connections, 16 << 20), LARGEST_BYTES)


def _words(totals: StatementTotals, wanted: int, statements: int) -> str:
    now = format_size(totals.work_mem_bytes)
    if wanted <= totals.work_mem_bytes:
        return f"{statements} statements spilled at work_mem = {now}: few of their calls did, or their roles have less"
    if wanted > most_for_everybody(totals):
        return (
            f"{statements} statements spill at work_mem = {now} and need about {format_size(wanted)}, too much for"
            f" {totals.max_connections} connections: set it in their transactions only"
        )
    return f"{statements} statements spill at work_mem = {now}; {format_size(wanted)} would keep them in memory"


def _fix(totals: StatementTotals, wanted: int, database: str) -> Fix | None:
    value = f"{wanted >> 20}MB"
    if wanted <= totals.work_mem_bytes:
        return None
    if wanted > most_for_everybody(totals):
        return Fix(sql=(f"set local work_mem = '{value}';",))
    return Fix(
        sql=(f"alter database {quote(database)} set work_mem = '{value}';",),
        step={"setting": {"name": "work_mem", "value": value, "scope": "database"}},
    )


CHECK = Check(
    "PG106",
    "spill-memory",
    "info",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
