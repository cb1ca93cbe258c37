"""max_wal_size has its default of 1 GB, or less, on a database that is larger.

**Why it matters.** A bulk load or a busy hour fills it within minutes; each checkpoint that this causes makes the
server write whole pages to its log again.

**What to do.** 4 GB is modest on today's disks; no restart is needed. It bounds the disk space between checkpoints
softly, and so the time of recovery.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.memory import Memory
from dbtune.checks.settings import advise
from dbtune.core.units import format_size

DEFAULT_BYTES = 1 << 30
ADVISED = "4GB"
"""PgTune's figure for a web application."""


def judge(rows: Sequence[Memory], server: Audited) -> Verdicts:
    """At most the default, while the database is larger than that."""
    for row in rows:
        if row.max_wal_bytes <= DEFAULT_BYTES < row.database_bytes:
            sizes = format_size(row.max_wal_bytes), format_size(row.database_bytes)
            yield CHECK.finding(
                "max_wal_size",
                f"max_wal_size is {sizes[0]}, the database about {sizes[1]}",
                evidence={"max_wal_bytes": row.max_wal_bytes, "database_bytes": row.database_bytes},
                fix=advise("max_wal_size", ADVISED, scope="system"),
                confidence="heuristic",
            )


CHECK = Check("PG153", "wal-size-default", "info", "audit_memory", Memory, judge)
