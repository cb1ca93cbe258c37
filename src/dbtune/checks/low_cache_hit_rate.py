"""Look-ups that find too little, over a window.

**Why it matters.** Every miss costs a look-up in the cache and then the query that it was meant to save. The figure
since the server started hides how it is now, so it is judged over `--window` only.

**What to do.** See RD007 and RD017 for the two usual causes: keys expire too soon, or memory is too small. Otherwise
look for keys that are looked up and never written, and warm what is needed with `cache_warm` steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_duration

LEAST_RATE = 0.7
"""Below it, keys should live longer or memory should grow (Redis, "Key eviction"; dbtune's own start)."""
LEAST_LOOKUPS = 100
"""With fewer, the rate is uncertain by ten points and more."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Hits among at least LEAST_LOOKUPS look-ups of the window below LEAST_RATE."""
    for survey in rows:
        window = survey.window
        if isinstance(window, Unseen):
            yield window.for_check(CHECK.code)
        elif window.lookups < LEAST_LOOKUPS:
            yield Unseen(
                f"{window.lookups:,.0f} look-ups in {format_duration(window.seconds)} are too few to judge",
                "give a longer --window, while the application works",
            ).for_check(CHECK.code)
        elif (rate := window.hits / window.lookups) < LEAST_RATE:
            yield CHECK.finding(
                survey.target,
                f"{rate:.0%} of {window.lookups:,.0f} look-ups found something in {format_duration(window.seconds)}",
                evidence={
                    "hit_rate": rate,
                    "hits": window.hits,
                    "misses": window.misses,
                    "evicted": window.evicted,
                    "expired": window.expired,
                    "window_s": window.seconds,
                },
            )


CHECK = Check("RD004", "low-cache-hit-rate", "warning", "cache_survey", CacheSurvey, judge, source="redis")
