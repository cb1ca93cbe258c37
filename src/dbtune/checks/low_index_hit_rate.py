"""Index pages are found in PostgreSQL's cache too seldom.

**Why it matters.** Every look-up passes through several index pages; when they are not in shared_buffers, each look-up
waits for the operating system or the disk.

**What to do.** Drop unused, duplicate and overlapping indexes first, rebuild bloated ones, then compare shared_buffers
with the size of the indexes that are used. The rate is since the last reset of statistics; a server that started
lately has not warmed up. The evidence names the tables whose indexes read most.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.hit_rate import PageHits, rate_finding

LEAST_SHARE = 0.95
"""pg-extras' limit for indexes."""


def judge(rows: Sequence[PageHits], server: Audited) -> Verdicts:
    """One finding for the whole database, with the tables whose indexes read most."""
    yield from rate_finding(CHECK, server.database, LEAST_SHARE, [row for row in rows if row.is_index])


CHECK = Check("PG010", "low-index-hit-rate", "warning", "audit_hits", PageHits, judge)
