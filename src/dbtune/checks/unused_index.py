"""An index that no query has used since statistics began.

**Why it matters.** Every insert, every delete and most updates write to it; it takes disk, memory and time of vacuum,
and keeps updates from being heap-only.

**What to do.** See that the statistics cover a whole business cycle (month-end jobs too), and that no replica uses the
index: each server counts for itself. Then drop it CONCURRENTLY and keep its definition. Indexes behind constraints
and unique ones are left out: they guard data even if nobody reads them. The indexes of partitions count as one.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.index_usage import IndexUsage
from dbtune.core.findings import Fix, Unexamined
from dbtune.core.units import format_duration, format_size

LEAST_SIZE_BYTES = 1 << 20
"""PgHero's and pg-extras' habit: below 1 MB nobody gains from a drop."""
MOST_SCANS = 0
LEAST_AGE_S = 7 * 86400.0
"""A week; before that the finding is only information, since weekly and monthly work has not shown yet."""


def judge(rows: Sequence[IndexUsage], server: Audited) -> Verdicts:
    """Indexes of at least LEAST_SIZE_BYTES with at most MOST_SCANS scans."""
    age_s = server.statistics_age_s
    if age_s is None:
        yield Unexamined(CHECK.code, "nobody knows since when the statistics count", "select pg_stat_reset() once")
        return
    source = "this replica's statistics" if server.is_replica else "statistics (replicas count their own)"
    for row in rows:
        if row.scans > MOST_SCANS or row.size_bytes < LEAST_SIZE_BYTES or row.guards_data or not row.usable:
            continue
        yield CHECK.finding(
            row.full_name,
            f"no scan in {format_duration(age_s)} of {source}; {format_size(row.size_bytes)} on {row.table}",
            severity=CHECK.severity if age_s >= LEAST_AGE_S else "info",
            evidence={
                "scans": row.scans,
                "size_bytes": row.size_bytes,
                "statistics_age_s": age_s,
                "definition": row.definition,
            },
            fix=Fix(sql=(row.drop,)),
        )


CHECK = Check("PG001", "unused-index", "warning", "audit_indexes", IndexUsage, judge)
