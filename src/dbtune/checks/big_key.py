"""A key that is much larger than a cache entry should be.

**Why it matters.** Redis does one thing at a time: to read, write or delete a big value everybody else waits, and it
can be neither evicted nor moved to another node in small steps.

**What to do.** Split a collection by a part of its key, page through it (HSCAN, LRANGE), compress or thin out a
string, and delete with UNLINK, which frees the memory in the background.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import BigKey, CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Severity
from dbtune.core.units import format_size

BIG_BYTES = 100_000
"""RedisInsight's limit for strings."""
HUGE_BYTES = 1 << 20
OWN_PREFIX = "dbtune:"
"""What `dbtune warm` notes about the keys it wrote: it grows with them, and is paged through."""
MOST_ELEMENTS = 5000
"""RedisInsight's limit for hashes."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Sampled keys of BIG_BYTES and more; information below HUGE_BYTES and MOST_ELEMENTS."""
    for survey in rows:
        sample = survey.sample
        if isinstance(sample, Unseen):
            yield sample.for_check(CHECK.code)
            continue
        for key in sample.big:
            if key.size_bytes >= BIG_BYTES and not key.name.startswith(OWN_PREFIX):
                yield CHECK.finding(
                    key.name,
                    f"a {key.kind} of {format_size(key.size_bytes)}{_members(key)}, among {sample.words} sampled",
                    severity=_severity(key),
                    evidence={
                        "kind": key.kind,
                        "size_bytes": key.size_bytes,
                        "elements": key.elements,
                        "sampled_keys": len(sample.keys),
                    },
                )


def _members(key: BigKey) -> str:
    return "" if key.kind == "string" else f" with {key.elements:,} elements"


def _severity(key: BigKey) -> Severity:
    long = key.kind != "string" and key.elements > MOST_ELEMENTS
    return "warning" if long or key.size_bytes >= HUGE_BYTES else "info"


CHECK = Check("RD008", "big-key", "warning", "cache_survey", CacheSurvey, judge, source="redis")
