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
LEAST_USED_BYTES = 5 << 20
"""All three are MEMORY DOCTOR's own limits: the program itself is most of what a nearly empty server holds."""
MUCH_BYTES = 100 << 20
"""Less is information: nobody's machine is short of that."""

DEFRAGMENT = {"redis_setting": {"name": "activedefrag", "value": "yes"}}


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Resident over used memory above MOST_RATIO by LEAST_BYTES, on a server that uses LEAST_USED_BYTES."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        ratio, wasted_bytes = info.number("mem_fragmentation_ratio"), info.number("mem_fragmentation_bytes")
        used_bytes = info.number("used_memory")
        if ratio <= MOST_RATIO or wasted_bytes <= LEAST_BYTES or used_bytes < LEAST_USED_BYTES:
            continue
        defragments = info.text("mem_allocator").startswith("jemalloc")
        yield CHECK.finding(
            survey.target,
            f"{format_size(wasted_bytes)} are held and not used, {ratio:.1f} times what is",
            severity=CHECK.severity if wasted_bytes >= MUCH_BYTES else "info",
            evidence={
                "ratio": ratio,
                "wasted_bytes": wasted_bytes,
                "used_memory_bytes": used_bytes,
                "resident_bytes": info.number("used_memory_rss"),
                "allocator": info.text("mem_allocator"),
            },
            fix=Fix(sql=("CONFIG SET activedefrag yes",), step=DEFRAGMENT) if defragments else None,
        )


CHECK = Check("RD010", "cache-fragmentation", "warning", "cache_survey", CacheSurvey, judge, source="redis")
