"""Many keys of one prefix that expire together.

**Why it matters.** When they go, everybody misses at the same moment and the database answers for all of them at
once: the stampede that the cache was to prevent. It comes back with every refill.

**What to do.** Add jitter to the time to live, 10 to 20 % of it (`jitter: 10%` of a `cache_warm` step), or refresh
ahead of the expiry under a lock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_duration

HERD = 0.2
"""Share of a prefix within WITHIN_S from which on it should be spread (dbtune's own start)."""
WITHIN_S = 60.0
ABOVE_EVEN = 3.0
"""Short-lived keys expire within a minute of each other even when they are spread evenly: the share must be so many
times what even spreading would give."""
LEAST_SAMPLED = 50
SURE = 2.33
"""Standard deviations of a one-sided bound of 99 %: the fullest of many minutes is full by chance, too."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Prefixes of which surely more than HERD expires within WITHIN_S, and far more than if it were spread."""
    for survey in rows:
        sample = survey.sample
        if isinstance(sample, Unseen):
            yield sample.for_check(CHECK.code)
            continue
        for prefix, keys in sorted(sample.by_prefix().items()):
            lives_s = sorted(key.expires_in_s for key in keys if key.expires_in_s is not None)
            if len(lives_s) < LEAST_SAMPLED:
                continue
            count, start_s = fullest_minute(lives_s)
            share = count / len(lives_s)
            at_least = surely_above(count, len(lives_s))
            if at_least <= max(HERD, ABOVE_EVEN * WITHIN_S / max(lives_s[-1], WITHIN_S)):
                continue
            yield CHECK.finding(
                prefix,
                f"{share:.0%} of its keys expire within one minute, in {format_duration(start_s)} "
                f"({count:,} of {len(lives_s):,} sampled)",
                evidence={
                    "share": share,
                    "share_at_least": round(at_least, 3),
                    "keys_in_one_minute": count,
                    "sampled_keys": len(lives_s),
                    "begins_in_s": start_s,
                    "shortest_s": lives_s[0],
                    "median_s": lives_s[len(lives_s) // 2],
                    "longest_s": lives_s[-1],
                    "lookups_added": sample.lookups_added,
                },
            )


def surely_above(count: int, total: int) -> float:
    """The share that `count` of `total` sampled keys prove: Wilson's score interval (1927), its lower end."""
    share, slack = count / total, SURE**2 / total
    spread = SURE * math.sqrt(share * (1 - share) / total + slack / (4 * total))
    return (share + slack / 2 - spread) / (1 + slack)


def fullest_minute(lives_s: Sequence[float]) -> tuple[int, float]:
    """The most of the ascending `lives_s` within WITHIN_S, and where that begins."""
    best, best_start, first = 0, 0.0, 0
    for last, life_s in enumerate(lives_s):
        while life_s - lives_s[first] > WITHIN_S:
            first += 1
        if last - first + 1 > best:
            best, best_start = last - first + 1, lives_s[first]
    return best, best_start


CHECK = Check("RD006", "expiry-herd", "warning", "cache_survey", CacheSurvey, judge, source="redis")
