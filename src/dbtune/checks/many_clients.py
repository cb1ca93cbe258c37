"""One place that holds a great many connections.

**Why it matters.** Each costs memory on the server, and opening them costs more than the commands that they carry. One
machine seldom needs more than a few dozen.

**What to do.** Share one pool for each process and bound it; a client that opens a connection for each request, or
leaks them, shows here first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_duration

MOST = 100
"""RedisInsight's limit for the clients of a server; here for those of one address."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Addresses with more than MOST connections."""
    for survey in rows:
        if isinstance(survey.clients, Unseen):
            yield survey.clients.for_check(CHECK.code)
            continue
        for address, count in Counter(one.address for one in survey.clients).items():
            if count <= MOST:
                continue
            idle_s = sorted(one.idle_s for one in survey.clients if one.address == address)[count // 2]
            yield CHECK.finding(
                address,
                f"holds {count:,} connections, half of them idle for {format_duration(idle_s)} and longer",
                evidence={
                    "connections": count,
                    "median_idle_s": idle_s,
                    "buffer_bytes": sum(one.buffer_bytes for one in survey.clients if one.address == address),
                },
            )


CHECK = Check("RD018", "many-clients", "info", "cache_survey", CacheSurvey, judge, source="redis")
