"""A large table that is mostly read from one end to the other.

**Why it matters.** Each such scan reads every page, pushes other tables out of the cache, and gets slower as the table
grows.

**What to do.** The counters do not tell which columns are asked for: look for the statements that read this table
(`dbtune audit --only statement-total-time`, `dbtune explain`), or let `dbtune advise` find an index for the whole
workload.
Reports and exports that want most of the rows are no reason for an index.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.units import format_size

LEAST_INDEX_SHARE = 0.95
LEAST_ROWS = 10_000
"""Both are PgHero's and pg-extras' limits (missing indexes)."""
LEAST_SCANS = 50
"""Our judgement: fewer say nothing; backups, migrations and ANALYZE-like jobs scan everything now and then."""


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Tables of LEAST_ROWS of whose scans fewer than LEAST_INDEX_SHARE use an index."""
    for row in rows:
        scans = row.sequential_scans + row.index_scans
        if row.kind != "r" or row.rows < LEAST_ROWS or row.sequential_scans < LEAST_SCANS:
            continue
        # A scan that a LIMIT ends early reads little: it is no sign of a missing index.
        rows_per_scan = row.sequential_rows / row.sequential_scans
        share = row.index_scans / scans
        if share >= LEAST_INDEX_SHARE or rows_per_scan < LEAST_ROWS / 2:
            continue
        yield CHECK.finding(
            row.full_name,
            f"{share:.0%} of {scans:,} scans use an index; the others read {rows_per_scan:,.0f} rows each"
            f" ({format_size(row.heap_bytes)})",
            evidence={
                "index_scan_share": round(share, 3),
                "sequential_scans": row.sequential_scans,
                "index_scans": row.index_scans,
                "rows_per_sequential_scan": round(rows_per_scan),
                "rows": row.rows,
                "size_bytes": row.heap_bytes,
            },
            confidence="heuristic",
        )


CHECK = Check("PG008", "missing-index-suspected", "warning", "audit_tables", TableActivity, judge)
