"""effective_cache_size is smaller than what PostgreSQL's own buffers hold already.

**Why it matters.** The planner takes it for the memory that caches tables, its own buffers and the operating
system's together. Where it is too small, index scans look dearer than they are. It reserves nothing.

**What to do.** Set it to half or three quarters of the machine's memory; no restart is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.memory import Memory
from dbtune.checks.settings import advise
from dbtune.core.units import format_size

USUAL_RATIO = 3
"""With shared_buffers at a quarter of the memory, three times that is three quarters of it."""


def judge(rows: Sequence[Memory], server: Audited) -> Verdicts:
    """Not above shared_buffers."""
    for row in rows:
        if row.cache_bytes > row.shared_buffers_bytes:
            continue
        value = f"{row.shared_buffers_bytes * USUAL_RATIO >> 20}MB"
        yield CHECK.finding(
            "effective_cache_size",
            f"effective_cache_size is {format_size(row.cache_bytes)}, not more than shared_buffers"
            f" ({format_size(row.shared_buffers_bytes)})",
            evidence={"effective_cache_size_bytes": row.cache_bytes, "shared_buffers_bytes": row.shared_buffers_bytes},
            fix=advise("effective_cache_size", value, scope="database", database=server.database),
            confidence="heuristic",
        )


CHECK = Check("PG143", "effective-cache-size-wrong", "info", "audit_memory", Memory, judge)
