"""A table whose statistics the planner can no longer trust, or that has none.

**Why it matters.** The planner chooses plans by them: with wrong ones it picks the wrong index, the wrong join, or too
little memory, and queries get slow at once though nothing else changed.

**What to do.** ANALYZE the table; it reads a sample and blocks nobody. If that happens again, autovacuum does not keep
up, or autovacuum_analyze_scale_factor is too high for the table's size. After a bulk load, a restore or an upgrade
ANALYZE belongs to the job.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LATE = 2.0
"""Our judgement: at twice its threshold autovacuum has had its chance."""
LEAST_ROWS = 1_000
LEAST_BYTES = 1 << 20
"""Either makes a table large enough: after an upgrade nobody has counted rows."""
LEAST_AGE_S = 120.0
"""Autovacuum looks once a minute (autovacuum_naptime): before its second look nothing is late."""
STEP_BASE_ROWS, STEP_SHARE = 50, 0.1
"""From where on the step `analyze` acts unless told otherwise."""


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Tables of LEAST_ROWS that were never analyzed, or changed beyond LATE times their threshold since."""
    for row in rows:
        if not row.has_storage or (row.rows < LEAST_ROWS and row.heap_bytes < LEAST_BYTES):
            continue
        # Counters and dates are lost in a crash and in an upgrade, the planner's own estimate of rows is not.
        never = row.analyzed_s_ago is None and not row.estimated_rows
        if not never and row.modified <= LATE * row.changes_for_analyze:
            continue
        if row.analyzed_s_ago is not None and row.analyzed_s_ago < LEAST_AGE_S and not row.autovacuum_is_off:
            continue
        when = "never" if row.analyzed_s_ago is None else f"{format_duration(row.analyzed_s_ago)} ago"
        yield CHECK.finding(
            row.full_name,
            f"analyzed {when}; {row.modified:,} changes since, {row.rows:,} rows"
            f" (autovacuum comes at {row.changes_for_analyze:,.0f})",
            evidence={
                "analyzed_s_ago": row.analyzed_s_ago,
                "changed_rows": row.modified,
                "changed_rows_threshold": row.changes_for_analyze,
                "rows": row.rows,
                "size_bytes": row.heap_bytes,
            },
            fix=Fix(sql=(f"analyze {row.quoted};",), step={"analyze": _step(row)}, safe=True),
        )


def _step(row: TableActivity) -> dict[str, object]:
    """The step looks again before it acts; where it would find too few changes, it is told to take them seriously."""
    step: dict[str, object] = {"tables": [row.step_name]}
    if row.analyzed_s_ago is not None and row.modified <= STEP_BASE_ROWS + STEP_SHARE * row.estimated_rows:
        step["stale"] = 0
    return step


CHECK = Check("PG013", "stale-statistics", "warning", "audit_tables", TableActivity, judge)
