"""Pages failed their checksums: data are damaged.

**Why it matters.** A page on disk is not what PostgreSQL wrote. Rows on it may be lost, and the cause (a disk, its
controller, memory, a file system) goes on damaging more.

**What to do.** Act now: keep the backups that you have from being rotated out, look into the server's log for the
files, check the hardware, switch to a replica (its pages are copies of its own), and find the damage with
`pg_amcheck` before you restore.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.database_totals import DatabaseTotals


def judge(rows: Sequence[DatabaseTotals], server: Audited) -> Verdicts:
    """A single failure is one too many."""
    for row in rows:
        if row.checksum_failures:
            yield CHECK.finding(
                server.database,
                f"{row.checksum_failures} pages failed their checksums, the last at {row.last_checksum_failure}",
                evidence={"checksum_failures": row.checksum_failures, "last_failure": row.last_checksum_failure},
            )


CHECK = Check("PG115", "checksum-failures", "critical", "audit_database", DatabaseTotals, judge)
