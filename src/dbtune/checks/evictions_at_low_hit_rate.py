"""Keys are evicted while look-ups find too little.

**Why it matters.** The working set does not fit: keys are thrown out before anybody asks for them again, and each
comes back through the database.

**What to do.** Raise `maxmemory`, make values smaller (RD008, RD009), let rarely used prefixes live shorter, or choose
`allkeys-lfu`, which keeps what is asked for often.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.low_cache_hit_rate import LEAST_LOOKUPS, LEAST_RATE
from dbtune.core.units import format_duration


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Evictions within the window at a hit rate below LEAST_RATE (see RD004 for the limits)."""
    for survey in rows:
        window = survey.window
        if isinstance(window, Unseen):
            yield window.for_check(CHECK.code)
            continue
        rate = window.hit_rate
        if rate is None or rate >= LEAST_RATE or window.lookups < LEAST_LOOKUPS or not window.evicted:
            continue
        yield CHECK.finding(
            survey.target,
            f"{window.evicted:,.0f} keys were evicted in {format_duration(window.seconds)} while {rate:.0%} of the "
            "look-ups found something",
            evidence={
                "hit_rate": rate,
                "misses": window.misses,
                "evicted": window.evicted,
                "expired": window.expired,
                "window_s": window.seconds,
            },
        )


CHECK = Check("RD017", "evictions-at-low-hit-rate", "warning", "cache_survey", CacheSurvey, judge, source="redis")
