"""A Redis that has hardly any connection left, or has turned clients away.

**Why it matters.** At `maxclients` new connections are refused, and an application that cannot reach its cache asks
the database for everything.

**What to do.** Find who holds them with CLIENT LIST: usually a pool in each of too many processes, or connections
that are never closed. Then bound the pools, set `timeout` for idle ones, and only then raise `maxclients`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Info, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Severity

NEARLY = 0.8
"""The usual alarm of redis_exporter's rules."""
FULL = 0.95


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """NEARLY all of maxclients connected, or connections refused since the server started."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        connected, most, rejected = (
            info.number(name) for name in ("connected_clients", "maxclients", "rejected_connections")
        )
        if not rejected and (not most or connected < NEARLY * most):
            continue
        turned_away = f"; {rejected:,.0f} were refused since the server started" if rejected else ""
        yield CHECK.finding(
            survey.target,
            f"{connected:,.0f} of {most:,.0f} possible clients are connected{turned_away}",
            severity=_severity(info),
            evidence={"connected_clients": connected, "maxclients": most, "rejected_connections": rejected},
        )


def _severity(info: Info) -> Severity:
    most = info.number("maxclients")
    return "critical" if most and info.number("connected_clients") >= FULL * most else CHECK.severity


CHECK = Check("RD014", "cache-client-limit", "warning", "cache_survey", CacheSurvey, judge, source="redis")
