"""Data checksums are off: damage by the disk goes unnoticed.

**Why it matters.** A page that the disk, its controller or its memory spoiled is read as if it were right, copied to
replicas and into backups, until the last good backup is gone. Checksums notice it at the first read.

**What to do.** `pg_checksums --enable` on a stopped server (a switch of replicas keeps the pause short); new clusters
have them from PostgreSQL 18 on. The cost is a per cent or two.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """The cluster was made without them."""
    for row in rows:
        if not row.has_checksums:
            yield CHECK.finding(
                "data_checksums",
                "data checksums are off: damage by the disk goes unnoticed",
                evidence={"data_checksums": "off"},
            )


CHECK = Check("PG114", "checksums-off", "info", "audit_database", DatabaseTotals, judge)
