"""Most connections wait in a blocking command.

**Why it matters.** Workers that wait with BLPOP or XREAD for their next job are fine. But a connection that blocks
serves nobody else: when they come from a pool that requests share, the pool runs dry.

**What to do.** Give blocking commands connections of their own, with a time-out, and keep the pool for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts

LEAST_BLOCKED = 10
MOST_SHARE = 0.5
"""dbtune's own start: a few workers are usual, half of all connections is not."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """At least LEAST_BLOCKED clients blocked, and more than MOST_SHARE of all."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        blocked, connected = info.number("blocked_clients"), info.number("connected_clients")
        if blocked < LEAST_BLOCKED or blocked <= MOST_SHARE * connected:
            continue
        clients = () if isinstance(survey.clients, Unseen) else survey.clients
        addresses = Counter(one.name or one.address for one in clients if one.blocked)
        yield CHECK.finding(
            survey.target,
            f"{blocked:.0f} of {connected:.0f} clients wait in a blocking command",
            evidence={
                "blocked_clients": blocked,
                "connected_clients": connected,
                "blocked_by_client": dict(addresses.most_common(5)),
            },
            confidence="heuristic",
        )


CHECK = Check("RD013", "clients-blocked", "info", "cache_survey", CacheSurvey, judge, source="redis")
