"""A Redis that is nearly full and may not evict.

**Why it matters.** With the policy `noeviction` every write fails with OOM from the moment that `maxmemory` is
reached. An application that treats its cache as optional then works without one, at the database's expense.

**What to do.** For a cache choose a policy that evicts, `allkeys-lru` or `allkeys-lfu`. Where the keys must not be
lost, raise `maxmemory` in time, or give the keys a time to live.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix
from dbtune.core.units import format_size

FULL = 0.75
"""Where dbtune begins to warn: a quarter is what a busy day may add."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """noeviction, and more than FULL of maxmemory used."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        limit_bytes, used_bytes = info.number("maxmemory"), info.number("used_memory")
        if info.text("maxmemory_policy") != "noeviction" or not limit_bytes or used_bytes <= FULL * limit_bytes:
            continue
        yield CHECK.finding(
            survey.target,
            f"{used_bytes / limit_bytes:.0%} of {format_size(limit_bytes)} are used and nothing may be evicted: "
            "at 100% every write fails",
            evidence={"used_memory_bytes": used_bytes, "maxmemory_bytes": limit_bytes, "policy": "noeviction"},
            fix=Fix(
                sql=("CONFIG SET maxmemory-policy allkeys-lru", "CONFIG REWRITE"),
                step={"redis_setting": {"name": "maxmemory-policy", "value": "allkeys-lru"}},
            ),
        )


CHECK = Check("RD002", "cache-refuses-writes", "critical", "cache_survey", CacheSurvey, judge, source="redis")
