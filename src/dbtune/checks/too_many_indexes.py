"""A table that is written more than it is read, with many indexes.

**Why it matters.** Every insert writes to each of them, and so does every update that is not heap-only; planning looks
at all of them for every query.

**What to do.** Look at the findings about unused, duplicate and overlapping indexes of this table first. Then ask of
each index which query needs it, and whether one with more columns could answer for two.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.units import format_size

MOST_INDEXES = 10
"""Our judgement; each index adds about the cost of the row itself to an insert."""
LEAST_WRITES = 10_000
"""Our judgement: fewer cost too little."""


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Tables with MOST_INDEXES and more, and more written rows than scans."""
    for row in rows:
        scans = row.index_scans + row.sequential_scans
        if row.kind != "r" or row.index_count < MOST_INDEXES or row.writes < max(LEAST_WRITES, scans):
            continue
        yield CHECK.finding(
            row.full_name,
            f"{row.index_count} indexes of {format_size(row.indexes_bytes)}; {row.writes:,} rows written,"
            f" {scans:,} scans",
            evidence={
                "indexes": row.index_count,
                "indexes_bytes": row.indexes_bytes,
                "written_rows": row.writes,
                "scans": scans,
            },
        )


CHECK = Check("PG022", "too-many-indexes", "info", "audit_tables", TableActivity, judge)
