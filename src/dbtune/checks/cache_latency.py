"""Events that the latency monitor wrote down.

**Why it matters.** They tell what stalled the server itself: `fork` before a save, `aof-fsync` on a slow disk,
`expire-cycle` when too many keys expire together, `eviction-cycle`, or a `command`.

**What to do.** `fork`: less memory for one server, no transparent huge pages. `aof-*`: a faster disk, or `appendfsync
everysec`. `expire-cycle`: jitter (RD006). `command`: see RD011. Then LATENCY RESET, and look again.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_duration

STALL_S = 0.1
"""What LATENCY DOCTOR's own documentation watches for; shorter ones are information."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Every kind of event since the last LATENCY RESET."""
    for survey in rows:
        if isinstance(survey.latency, Unseen):
            yield survey.latency.for_check(CHECK.code)
            continue
        for event in survey.latency:
            yield CHECK.finding(
                event.name,
                f"stalled the server for {format_duration(event.worst_s)} at worst, last "
                f"{format_duration(event.age_s)} ago for {format_duration(event.latest_s)}",
                severity=CHECK.severity if event.worst_s >= STALL_S else "info",
                evidence={"worst_s": event.worst_s, "latest_s": event.latest_s, "last_ago_s": event.age_s},
            )


CHECK = Check("RD012", "cache-latency", "warning", "cache_survey", CacheSurvey, judge, source="redis")
