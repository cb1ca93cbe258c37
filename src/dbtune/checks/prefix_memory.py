"""A prefix that holds most of the memory.

**Why it matters.** Whatever is to be saved in memory has to be saved there; and under pressure its keys push out those
of all the others.

**What to do.** See whether its values can be smaller (fields that nobody reads, compression) or live shorter, and
whether it belongs into a Redis of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Sample, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_size

MOST = 0.5
"""Of the sampled bytes."""
LEAST_BYTES = 10 << 20
"""Below it memory is of no interest (MEMORY DOCTOR's own limit)."""
LEAST_SAMPLED = 100
SHOWN_PREFIXES = 10


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """One prefix of several with more than MOST of the bytes, once they are LEAST_BYTES."""
    for survey in rows:
        sample = survey.sample
        if isinstance(sample, Unseen):
            yield sample.for_check(CHECK.code)
            continue
        weights = _weights(sample)
        total_bytes = sum(weights.values()) * (1 if sample.whole else sample.key_count / max(len(sample.keys), 1))
        if len(sample.keys) < LEAST_SAMPLED or len(weights) < 2 or total_bytes < LEAST_BYTES:
            continue
        prefix, size_bytes = next(iter(weights.items()))
        share = size_bytes / sum(weights.values())
        if share > MOST:
            yield CHECK.finding(
                prefix,
                f"holds {share:.0%} of the memory, about {format_size(share * total_bytes)} (from {sample.words})",
                evidence={
                    "share": share,
                    "size_bytes": share * total_bytes,
                    "sampled_keys": len(sample.keys),
                    "sampled_bytes": dict(list(weights.items())[:SHOWN_PREFIXES]),
                },
                confidence="measured" if sample.whole else "simulated",
            )


def _weights(sample: Sample) -> dict[str, int]:
    """Sampled bytes by prefix, the heaviest first."""
    found = {prefix: sum(key.size_bytes for key in keys) for prefix, keys in sample.by_prefix().items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


CHECK = Check("RD009", "prefix-memory", "info", "cache_survey", CacheSurvey, judge, source="redis")
