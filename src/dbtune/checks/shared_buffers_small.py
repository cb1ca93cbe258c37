"""shared_buffers is small for this database.

**Why it matters.** Pages that are not in PostgreSQL's own cache are fetched from the operating system at best and
from the disk at worst. The default of 128 MB is made to start anywhere, not to serve.

**What to do.** A quarter of the machine's memory is the usual start (PostgreSQL's documentation, "Resource
Consumption"); it takes a restart. SQL cannot see how much memory the machine has: judge that yourself.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.memory import Memory
from dbtune.checks.settings import advise
from dbtune.core.units import format_size

DEFAULT_BYTES = 128 << 20
LEAST_RATIO = 4
"""A database four times its buffers surely does not fit; below that the operating system's cache usually helps out."""
ADVISED_SHARE = 4
"""A quarter: of the machine's memory by the documentation, of the planner's idea of the cache here."""


def judge(rows: Sequence[Memory], server: Audited) -> Verdicts:
    """At most the default while the database is LEAST_RATIO times as large."""
    for row in rows:
        if row.shared_buffers_bytes > DEFAULT_BYTES or row.database_bytes < LEAST_RATIO * row.shared_buffers_bytes:
            continue
        wanted = max(row.cache_bytes // ADVISED_SHARE, 2 * DEFAULT_BYTES)
        yield CHECK.finding(
            "shared_buffers",
            f"shared_buffers is {format_size(row.shared_buffers_bytes)}, the database about"
            f" {format_size(row.database_bytes)}",
            evidence={
                "shared_buffers_bytes": row.shared_buffers_bytes,
                "database_bytes": row.database_bytes,
                "effective_cache_size_bytes": row.cache_bytes,
            },
            fix=advise("shared_buffers", f"{wanted >> 20}MB", scope="system", note="takes effect at a restart"),
            confidence="heuristic",
        )


CHECK = Check("PG141", "shared-buffers-small", "warning", "audit_memory", Memory, judge)
