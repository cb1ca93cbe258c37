"""Memory is nearly used up by keys that live long.

**Why it matters.** What is near its limit either refuses writes or evicts, and eviction chooses by a few samples: it
throws out what will be asked for, while keys that nobody wants any more wait for their time.

**What to do.** Let the prefix that is named live shorter: half of its life frees about half of what it holds. Or raise
`maxmemory`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Info, Sample, SampledKey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Finding
from dbtune.core.units import format_duration, format_size

FULL = 0.75
"""Of maxmemory: from here on RD002 warns where nothing may be evicted."""
LONG_S = 3600.0
"""Keys that expire sooner leave little to shorten (dbtune's own start)."""
LEAST_SHARE = 0.1
"""Of the sampled bytes: less is not worth a change (dbtune's own start)."""
LEAST_SAMPLED = 100


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """FULL of maxmemory, and a prefix with LEAST_SHARE of the bytes in keys that expire later than LONG_S."""
    for survey in rows:
        info, sample = survey.info, survey.sample
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        if isinstance(sample, Unseen):
            yield sample.for_check(CHECK.code)
            continue
        limit_bytes, used_bytes = info.number("maxmemory"), info.number("used_memory")
        if not limit_bytes or used_bytes < FULL * limit_bytes or len(sample.keys) < LEAST_SAMPLED:
            continue
        prefix, keys = max(_long(sample).items(), key=lambda item: _bytes(item[1]), default=("", []))
        if _bytes(keys) >= LEAST_SHARE * sample.size_bytes and keys:
            yield _finding(info, sample, prefix, keys)


def _finding(info: Info, sample: Sample, prefix: str, keys: Sequence[SampledKey]) -> Finding:
    limit_bytes, used_bytes = info.number("maxmemory"), info.number("used_memory")
    policy = info.text("maxmemory_policy")
    share = _bytes(keys) / sample.size_bytes
    half_s = sorted(key.expires_in_s or 0.0 for key in keys)[len(keys) // 2]
    return CHECK.finding(
        prefix,
        f"{used_bytes / limit_bytes:.0%} of maxmemory ({format_size(limit_bytes)}) is used, about {share:.0%} of it by"
        f" keys here that live longer than an hour, half of them {format_duration(half_s)} and more"
        f" (from {sample.words}): a shorter time to live makes room",
        severity="warning" if policy == "noeviction" else CHECK.severity,
        evidence={
            "used_memory_bytes": round(used_bytes),
            "maxmemory_bytes": round(limit_bytes),
            "policy": policy,
            "share_of_bytes": share,
            "half_expires_after_s": half_s,
            "sampled_keys": len(sample.keys),
        },
        confidence="measured" if sample.whole else "simulated",
    )


def _long(sample: Sample) -> dict[str, list[SampledKey]]:
    """By prefix, the keys that expire later than LONG_S."""
    found = {
        prefix: [key for key in keys if key.expires_in_s is not None and key.expires_in_s > LONG_S]
        for prefix, keys in sample.by_prefix().items()
    }
    return {prefix: keys for prefix, keys in found.items() if keys}


def _bytes(keys: Sequence[SampledKey]) -> int:
    return sum(key.size_bytes for key in keys)


CHECK = Check("RD020", "cache-keeps-too-long", "info", "cache_survey", CacheSurvey, judge, source="redis")
