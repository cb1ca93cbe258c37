"""Memory that the server holds and does not use.

**Why it matters.** The machine's memory is taken, and `maxmemory` does not count it: the server may be killed for
memory long before it evicts anything.

**What to do.** With the allocator jemalloc, `CONFIG SET activedefrag yes`; otherwise, or when it does not help, fail
over to a fresh replica. It is normal for a while after many keys were deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix
from dbtune.core.units import format_size

MOST_RATIO = 1.4
LEAST_BYTES = 10 << 20
"""Both are MEMORY DOCTOR's own limits."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Resident memory over used memory above MOST_RATIO, and LEAST_BYTES of it."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        ratio, wasted_bytes = info.number("mem_fragmentation_ratio"), info.number("mem_fragmentation_bytes")
        if ratio <= MOST_RATIO or wasted_bytes <= LEAST_BYTES:
            continue
        defragments = info.text("mem_allocator").startswith("jemalloc")
        yield CHECK.finding(
            survey.target,
            f"{format_size(wasted_bytes)} are held and not used, {ratio:.1f} times what is",
            evidence={
                "ratio": ratio,
                "wasted_bytes": wasted_bytes,
                "used_memory_bytes": info.number("used_memory"),
                "resident_bytes": info.number("used_memory_rss"),
                "allocator": info.text("mem_allocator"),
            },
            fix=Fix(sql=("CONFIG SET activedefrag yes",)) if defragments else None,
        )


CHECK = Check("RD010", "cache-fragmentation", "warning", "cache_survey", CacheSurvey, judge, source="redis")
