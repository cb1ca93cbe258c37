"""Keys that never expire.

**Why it matters.** What has no time to live stays when nobody needs it any more, and stays wrong when an invalidation
was missed. Only an `allkeys-*` policy ever removes it, at the cost of others.

**What to do.** Write with an expiry (`SET key value EX 3600`), with some jitter; for what is there already, `EXPIRE key
seconds NX` prefix by prefix. Accept the finding for prefixes that are data and no cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Sample, Unseen
from dbtune.checks.check import Audited, Check, Verdicts

MOST_LASTING = 0.2
"""Share of the keys that may go without: counters, locks, settings."""
LEAST_KEYS = 100
SHOWN_PREFIXES = 5


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """More than MOST_LASTING of the keys without expiry; only information where the policy may evict them."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        lasting = info.keys - info.expiring
        if info.keys < LEAST_KEYS or lasting <= MOST_LASTING * info.keys:
            continue
        prefixes = {} if isinstance(survey.sample, Unseen) else _prefixes(survey.sample)
        where = f", most of them in {', '.join(list(prefixes)[:3])}" if prefixes else ""
        yield CHECK.finding(
            survey.target,
            f"{lasting:,} of {info.keys:,} keys ({lasting / info.keys:.0%}) never expire{where}",
            severity="info" if info.text("maxmemory_policy").startswith("allkeys-") else CHECK.severity,
            evidence={"keys": info.keys, "without_expiry": lasting, "sampled_without_expiry": prefixes},
        )


def _prefixes(sample: Sample) -> dict[str, int]:
    """Sampled keys without expiry by prefix, the most first."""
    counts = {prefix: sum(key.expires_in_s is None for key in keys) for prefix, keys in sample.by_prefix().items()}
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return {prefix: count for prefix, count in ordered[:SHOWN_PREFIXES] if count}


CHECK = Check("RD005", "keys-without-expiry", "warning", "cache_survey", CacheSurvey, judge, source="redis")
