"""The database writes many temporary files.

**Why it matters.** Sorts, hashes and materialized sets that exceed work_mem go to disk. Many small files mean that
work_mem is a little too small for everyday work; few large ones, that a report or an index build runs.

**What to do.** statement-spill names the statements, and spill-memory a value for work_mem. `slow_log: {temp_files:
10MB}` logs each large file with its statement; temp_file_limit bounds what one session may fill.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals
from dbtune.checks.settings import log_more
from dbtune.core.units import format_duration, format_size

LEAST_BYTES_A_DAY = 1 << 30
MANY_BYTES_A_DAY = 50 << 30
"""Half a megabyte a second around the clock."""


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """At least LEAST_BYTES_A_DAY; statistics younger than an hour are taken for an hour."""
    for row in rows:
        daily = row.per_day(row.temp_bytes)
        if daily < LEAST_BYTES_A_DAY:
            continue
        yield CHECK.finding(
            server.database,
            f"{row.temp_files} temporary files, {format_size(row.temp_bytes)}, in {format_duration(row.age_s)}",
            severity=CHECK.severity if daily >= MANY_BYTES_A_DAY else "info",
            evidence={
                "temp_files": row.temp_files,
                "temp_bytes": row.temp_bytes,
                "temp_bytes_per_day": round(daily),
                "statistics_age_s": round(row.age_s),
            },
            fix=log_more({"temp_files": "10MB"}, "log_temp_files", "10MB"),
        )


CHECK = Check("PG111", "temp-files", "warning", "audit_database", DatabaseTotals, judge)
