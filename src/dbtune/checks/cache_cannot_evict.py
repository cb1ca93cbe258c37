"""An eviction policy that finds little to evict.

**Why it matters.** The `volatile-*` policies evict only keys that have a time to live. Where most have none, the few
that expire are thrown out again and again while the rest stays for ever, and without any the server behaves as with
`noeviction`: writes fail.

**What to do.** Choose the `allkeys-*` policy of the same kind, or give every key of the cache a time to live.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix

LEAST_EXPIRING = 0.5
"""Share of the keys that should be open to eviction."""
LEAST_KEYS = 100
"""A server with fewer is not in use yet."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """volatile-* with less than LEAST_EXPIRING of the keys expiring."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        policy = info.text("maxmemory_policy")
        if not policy.startswith("volatile-") or info.keys < LEAST_KEYS or info.expiring >= LEAST_EXPIRING * info.keys:
            continue
        # volatile-ttl has no counterpart among the others.
        other = "allkeys-lru" if policy == "volatile-ttl" else policy.replace("volatile", "allkeys")
        yield CHECK.finding(
            survey.target,
            f"{policy} evicts only keys that expire, and those are {info.expiring:,} of {info.keys:,} "
            f"({info.expiring / info.keys:.0%})",
            evidence={"policy": policy, "keys": info.keys, "expiring": info.expiring},
            fix=Fix(
                sql=(f"CONFIG SET maxmemory-policy {other}", "CONFIG REWRITE"),
                step={"redis_setting": {"name": "maxmemory-policy", "value": other}},
            ),
        )


CHECK = Check("RD003", "cache-cannot-evict", "warning", "cache_survey", CacheSurvey, judge, source="redis")
