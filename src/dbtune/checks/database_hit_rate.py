"""Too many pages of this database are not found in PostgreSQL's cache.

**Why it matters.** Each miss is a system call at best and a disk access at worst. On a server that answers many small
questions, the working set should be in memory.

**What to do.** First let statements read less: an index in place of a sequential scan raises the rate and the speed
at once. Then look at shared_buffers and the machine's memory. Reports that read everything lower the rate rightly.
The operating system's cache may still hold the pages: track_io_timing tells a real disk from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals

LEAST_RATE = 0.99
"""PgHero's and Heroku's figure for tables."""
POOR_RATE = 0.9
LEAST_BLOCKS = 100_000
"""800 MB of pages: a cold cache after a start has warmed up by then."""


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """Hits of hits and reads since the statistics began; below POOR_RATE a warning."""
    for row in rows:
        blocks = row.blks_hit + row.blks_read
        if blocks < LEAST_BLOCKS or row.blks_hit >= LEAST_RATE * blocks:
            continue
        rate = row.blks_hit / blocks
        yield CHECK.finding(
            server.database,
            f"{rate:.1%} of {blocks} pages were found in the cache; {LEAST_RATE:.0%} is usual",
            severity=CHECK.severity if rate < POOR_RATE else "info",
            evidence={
                "hit_rate": round(rate, 4),
                "blocks_hit": row.blks_hit,
                "blocks_read": row.blks_read,
                "statistics_age_s": round(row.age_s),
            },
        )


CHECK = Check("PG116", "database-hit-rate", "warning", "audit_database", DatabaseTotals, judge)
