"""A Redis that may take all of the machine's memory.

**Why it matters.** Without `maxmemory` nothing is ever evicted: the server grows until the kernel kills it, or
something beside it, and every key is gone at once.

**What to do.** Set `maxmemory` to what the machine can spare (three quarters of it when nothing else runs there, as
copy-on-write during a save and fragmentation need room too), and `maxmemory-policy allkeys-lru` for a cache. CONFIG SET
takes effect at once; CONFIG REWRITE keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix
from dbtune.core.units import format_size

SPARED = 0.75
"""Of the machine's memory; the rest is for copy-on-write and fragmentation (Redis, "Administration")."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """No limit: maxmemory is 0."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
        elif "maxmemory" in info.values and info.number("maxmemory") == 0:
            machine_bytes = info.number("total_system_memory")
            used = format_size(info.number("used_memory"))
            bound = int(machine_bytes * SPARED) if machine_bytes else 1 << 30
            limit = f"CONFIG SET maxmemory {bound if machine_bytes else '1gb'}"
            # A limit alone would make writes fail once it is reached.
            evicts = info.text("maxmemory_policy") != "noeviction"
            policy = {"name": "maxmemory-policy", "value": "allkeys-lru"}
            yield CHECK.finding(
                survey.target,
                f"maxmemory is 0: nothing limits the memory, of which {used} are used",
                evidence={
                    "maxmemory_bytes": 0,
                    "used_memory_bytes": info.number("used_memory"),
                    "machine_memory_bytes": machine_bytes,
                    "policy": info.text("maxmemory_policy"),
                },
                fix=Fix(
                    sql=(limit, *(() if evicts else (f"CONFIG SET {' '.join(policy.values())}",)), "CONFIG REWRITE"),
                    step={"redis_setting": {"name": "maxmemory", "value": bound}},
                    then=() if evicts else ({"redis_setting": policy},),
                ),
            )


CHECK = Check("RD001", "cache-memory-unbounded", "critical", "cache_survey", CacheSurvey, judge, source="redis")
