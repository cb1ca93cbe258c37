"""A replica that has lost its primary, or lags behind it.

**Why it matters.** A replica without a link answers with what it knew then, and a failover to it loses everything
since. One that lags gives readers what was true a while ago.

**What to do.** On the replica look at the log: network, password (`masterauth`), or an output buffer that was too
small (`client-output-buffer-limit replica`), after which each resynchronisation fails again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbtune.checks.cache_survey import CacheSurvey, Info, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Finding
from dbtune.core.units import format_duration

MOST_LAG_S = 10.0
"""Replicas report every second; redis.conf's own example for min-replicas-max-lag is 10."""


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """The link of this server to its primary, and the replicas that it has."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        if info.text("role") == "slave" and info.text("master_link_status") != "up":
            yield _lost(survey, info)
        yield from (_late(replica) for replica in info.replicas if _is_late(replica))


def _lost(survey: CacheSurvey, info: Info) -> Finding:
    down_s = info.number("master_link_down_since_seconds")
    since = f" for {format_duration(down_s)}" if down_s > 0 else ""
    return CHECK.finding(
        survey.target,
        f"the link to its primary {info.text('master_host')}:{info.text('master_port')} is down{since}",
        evidence={"link": info.text("master_link_status"), "down_s": down_s},
    )


def _is_late(replica: Mapping[str, str]) -> bool:
    return replica.get("state") != "online" or float(replica.get("lag", 0)) > MOST_LAG_S


def _late(replica: Mapping[str, str]) -> Finding:
    return CHECK.finding(
        f"{replica.get('ip', '?')}:{replica.get('port', '?')}",
        f"this replica is {replica.get('state', 'unknown')}, and was heard {replica.get('lag', '?')} s ago",
        severity="warning",
        evidence={"state": replica.get("state", ""), "lag_s": float(replica.get("lag", 0))},
    )


CHECK = Check("RD016", "cache-replication-broken", "critical", "cache_survey", CacheSurvey, judge, source="redis")
