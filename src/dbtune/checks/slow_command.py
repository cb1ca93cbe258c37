"""Commands in the slow log, by command and prefix.

**Why it matters.** Redis does one thing at a time: while a slow command runs, all the others wait. The time in the slow
log is that of the command alone, without network and queue.

**What to do.** In place of KEYS use SCAN; in place of SMEMBERS, HGETALL and LRANGE of all, page; in place of DEL of
something big, UNLINK. Shorten scripts. RD008 shows the keys that are too big.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, SlowCommand, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_duration

STALL_S = 0.1
"""From here on people notice; shorter ones are information."""
SHOWN = 10
WALKERS = {"KEYS", "FLUSHALL", "FLUSHDB", "SMEMBERS", "MONITOR"}
"""Slower with every key that is added."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """The SHOWN kinds of commands that took the most time."""
    for survey in rows:
        if isinstance(survey.slow, Unseen):
            yield survey.slow.for_check(CHECK.code)
            continue
        kinds: dict[str, list[SlowCommand]] = {}
        for one in survey.slow:
            kinds.setdefault(f"{one.command} {one.prefix}".strip(), []).append(one)
        ordered = sorted(kinds.items(), key=lambda item: -sum(one.duration_s for one in item[1]))
        for kind, found in ordered[:SHOWN]:
            worst_s = max(one.duration_s for one in found)
            times = "once" if len(found) == 1 else f"{len(found)} times"
            last_s = min(one.age_s for one in found)
            yield CHECK.finding(
                kind,
                f"slow {times}, at worst {format_duration(worst_s)}, last {format_duration(last_s)} ago",
                severity=CHECK.severity if worst_s >= STALL_S or found[0].command in WALKERS else "info",
                evidence={
                    "count": len(found),
                    "worst_s": worst_s,
                    "total_s": sum(one.duration_s for one in found),
                    "last_ago_s": last_s,
                },
            )


CHECK = Check("RD011", "slow-command", "warning", "cache_survey", CacheSurvey, judge, source="redis")
