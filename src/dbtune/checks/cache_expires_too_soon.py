"""A low hit rate beside many expiries and few evictions.

**Why it matters.** Memory is not what is short: the keys go because their time is over, before anybody asked for
them again.

**What to do.** Let them live longer, or refresh them ahead of their expiry; a key that is warmed every hour has to
live longer than an hour and a half.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Sample, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.low_cache_hit_rate import LEAST_LOOKUPS, LEAST_RATE
from dbtune.core.units import format_duration

PER_MISS = 0.2
"""Expiries for each miss from which on they explain it (dbtune's own start)."""
OVER_EVICTIONS = 2.0
"""Redis, "Key eviction": few evictions and many expired keys mean that the time to live is too short."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Hit rate below LEAST_RATE with many expiries for each miss, and more of them than evictions."""
    for survey in rows:
        window = survey.window
        if isinstance(window, Unseen):
            yield window.for_check(CHECK.code)
            continue
        rate = window.hit_rate
        if rate is None or rate >= LEAST_RATE or window.lookups < LEAST_LOOKUPS:
            continue
        if window.expired < PER_MISS * window.misses or window.expired <= OVER_EVICTIONS * window.evicted:
            continue
        lives = {} if isinstance(survey.sample, Unseen) else _lives(survey.sample)
        yield CHECK.finding(
            survey.target,
            f"{window.expired:,.0f} keys expired in {format_duration(window.seconds)} while {rate:.0%} of the "
            "look-ups found something",
            evidence={
                "hit_rate": rate,
                "misses": window.misses,
                "expired": window.expired,
                "evicted": window.evicted,
                "window_s": window.seconds,
                **lives,
            },
        )


def _lives(sample: Sample) -> dict[str, float]:
    """How long the sampled keys still live."""
    lives_s = sorted(key.expires_in_s for key in sample.keys if key.expires_in_s is not None)
    if not lives_s:
        return {}
    tenth, middle, last_tenth = (lives_s[int(len(lives_s) * part)] for part in (0.1, 0.5, 0.9))
    return {"tenth_expires_within_s": tenth, "half_expires_within_s": middle, "nine_tenths_expire_within_s": last_tenth}


CHECK = Check("RD007", "cache-expires-too-soon", "warning", "cache_survey", CacheSurvey, judge, source="redis")
