"""A very large table that is not partitioned.

**Why it matters.** Vacuum, index builds, backups and restores of one table take as long as it is large, and cannot be
divided. Old rows can only be deleted, row by row, and leave bloat, where a partition would be dropped at once.

**What to do.** If rows grow old (events, logs, orders), partition by time and drop old partitions. PostgreSQL's
documentation recommends partitioning when a table exceeds the memory of the server; it is no cure for slow queries
that an index would answer. Partitioning a living table needs a plan: a new table, a trigger or logical replication,
and a switch.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.units import format_size

LEAST_SIZE_BYTES = 100 << 30
"""Our judgement: more than the memory of most servers, and hours for a vacuum."""
HUGE_SIZE_BYTES = 1 << 40


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Plain tables of LEAST_SIZE_BYTES with their TOAST, indexes not counted; partitions are told as such."""
    for row in rows:
        if row.kind != "r" or row.size_bytes < LEAST_SIZE_BYTES:
            continue
        what = "this partition is" if row.is_partition else "not partitioned,"
        yield CHECK.finding(
            row.full_name,
            f"{what} {format_size(row.size_bytes)} with {format_size(row.indexes_bytes)} of indexes, {row.rows:,} rows",
            severity="warning" if row.size_bytes >= HUGE_SIZE_BYTES and not row.is_partition else "info",
            evidence={"size_bytes": row.size_bytes, "indexes_bytes": row.indexes_bytes, "rows": row.rows},
        )


CHECK = Check("PG019", "oversized-table", "info", "audit_tables", TableActivity, judge)
