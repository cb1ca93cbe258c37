"""`dbtune cache`: a window over the counters, a sample of the keys, and what the checks of Redis say of both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dbtune.checks.cache_survey import CacheSurvey, Info, Sample, Unseen, Window
from dbtune.checks.check import Audited, checks
from dbtune.core.cache_report import (
    CacheReport,
    CommandTimes,
    Heavy,
    Memory,
    PrefixUse,
    Traffic,
    histogram,
    percentile,
)
from dbtune.core.findings import SEVERITIES, Finding, Unexamined
from dbtune.core.progress import Progress
from dbtune.servers.redis.watching import Histogram, Watch, between, counters, refuse_cluster, watched

MOST_PREFIXES = 30
MOST_COMMANDS = 12
OURS = ("info", "latency|histogram", "client|setinfo", "client|setname", "hello", "ping", "config|get", "psubscribe")


@dataclass(frozen=True, slots=True)
class Look:
    """`window_s` to watch; `monitor_s` of it with MONITOR, 0: without."""

    window_s: float = 5.0
    monitor_s: float = 0.0


def look_at_cache(url: str, look: Look, progress: Progress) -> CacheReport:
    """Changes nothing. Raises TargetError when the server cannot be talked to; whatever is smaller is `skipped`."""
    from dbtune.servers.redis.survey import opened_survey

    refuse_cluster(url)
    started_at, clock = datetime.now(UTC), time.monotonic()
    with opened_survey(url) as survey, counters(url) as counter, watched(url, monitor_s=look.monitor_s) as watch:
        before, begun = counter.times(), time.monotonic()
        commands, own = commands_of(counter.info()), counter.own
        _wait(look.window_s, progress)
        seconds = time.monotonic() - begun
        moved, after = commands_of(counter.info()) - commands - (counter.own - own), counter.times()
        progress("sampling keys")
        row = survey(seconds if look.window_s else 0.0)
    findings, skipped = _judge(row)
    sample = None if isinstance(row.sample, Unseen) else row.sample
    return CacheReport(
        target=row.target,
        server=row.info.server if isinstance(row.info, Info) else "redis",
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        keys=row.info.keys if isinstance(row.info, Info) else None,
        expiring=row.info.expiring if isinstance(row.info, Info) else None,
        sampled=len(sample.keys) if sample else 0,
        traffic=_traffic(row.window, moved),
        memory=memory_of(row.info),
        commands=() if isinstance(before, Unseen) or isinstance(after, Unseen) else times_between(before, after),
        prefixes=_prefixes(sample, watch),
        lives=histogram([key.expires_in_s for key in sample.keys]) if sample else (),
        heaviest=tuple(Heavy(one.name, one.kind, one.size_bytes, one.elements) for one in sample.big) if sample else (),
        findings=findings,
        skipped=(*skipped, *_unseen(row, watch, after)),
        examined=_examined(skipped),
        notes=_notes(row, watch),
    )


def _wait(seconds: float, progress: Progress) -> None:
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        progress("watching the counters", 1 - left_s / seconds)
        time.sleep(min(left_s, 0.25))


def commands_of(info: Mapping[str, object]) -> float:
    """All that the server was ever sent, ours among them."""
    found = info.get("total_commands_processed", 0)
    return float(found) if isinstance(found, int | float) else 0.0


def _traffic(window: Window | Unseen, commands: float) -> Traffic | None:
    if isinstance(window, Unseen):
        return None
    return Traffic(window.seconds, window.hits, window.misses, window.evicted, window.expired, max(0.0, commands))


def memory_of(info: Info | Unseen) -> Memory | None:
    if isinstance(info, Unseen) or "used_memory" not in info.values:
        return None
    return Memory(
        used_bytes=info.number("used_memory"),
        peak_bytes=info.number("used_memory_peak"),
        limit_bytes=info.number("maxmemory"),
        policy=info.text("maxmemory_policy"),
        fragmentation=info.number("mem_fragmentation_ratio") or None,
    )


def times_between(before: Mapping[str, Histogram], after: Mapping[str, Histogram]) -> tuple[CommandTimes, ...]:
    rows = [
        CommandTimes(name, max(one.values()), *(percentile(one, share) for share in (0.5, 0.95, 0.99)))
        for name, one in between(before, after).items()
        if name not in OURS
    ]
    return tuple(sorted(rows, key=lambda row: -row.calls)[:MOST_COMMANDS])


def _prefixes(sample: Sample | None, watch: Watch) -> tuple[PrefixUse, ...]:
    """The heaviest first; then those that were only asked for."""
    groups = sample.by_prefix() if sample else {}
    scale = 1.0 if sample is None or sample.whole else sample.key_count / max(1, len(sample.keys))
    seen = watch.unseen is None
    rows = []
    for prefix in dict.fromkeys([*groups, *watch.misses, *watch.reads]):
        keys = groups.get(prefix, [])
        lives_s = sorted(key.expires_in_s for key in keys if key.expires_in_s is not None)
        rows.append(
            PrefixUse(
                prefix,
                round(len(keys) * scale),
                round(sum(key.size_bytes for key in keys) * scale),
                lasting=1 - len(lives_s) / len(keys) if keys else 0.0,
                lives_s=lives_s[len(lives_s) // 2] if lives_s else None,
                misses=watch.misses[prefix] if seen else None,
                reads=watch.reads[prefix] if watch.monitored_s else None,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.size_bytes, -(row.misses or 0), row.prefix))[:MOST_PREFIXES])


def _judge(row: CacheSurvey) -> tuple[tuple[Finding, ...], tuple[Unexamined, ...]]:
    nobody = Audited(
        version=0, database="", user="", is_superuser=False, is_replica=False, statistics_age_s=None, window_s=0.0
    )
    verdicts = [
        verdict for check in checks().values() if check.source == "redis" for verdict in check.judge([row], nobody)
    ]
    findings = [verdict for verdict in verdicts if isinstance(verdict, Finding)]
    findings.sort(key=lambda found: (SEVERITIES.index(found.severity), found.code, found.object))
    return tuple(findings), tuple(verdict for verdict in verdicts if isinstance(verdict, Unexamined))


def _examined(skipped: tuple[Unexamined, ...]) -> tuple[str, ...]:
    left_out = {one.check for one in skipped}
    return tuple(code for code, check in checks().items() if check.source == "redis" and code not in left_out)


def _unseen(row: CacheSurvey, watch: Watch, times: object) -> Iterator[Unexamined]:
    if isinstance(row.window, Unseen):
        yield Unexamined("hit rate", row.window.reason, row.window.hint)
    if isinstance(times, Unseen):
        yield Unexamined("command times", times.reason, times.hint)
    if watch.unseen is not None:
        yield Unexamined("misses by prefix", watch.unseen.reason, watch.unseen.hint)
    if not watch.monitored_s:
        yield Unexamined("reads by prefix", "only MONITOR shows them, which slows a server down", "give --monitor 1s")


def _notes(row: CacheSurvey, watch: Watch) -> tuple[str, ...]:
    notes = []
    if isinstance(row.sample, Sample) and row.sample.lookups_added:
        notes.append(f"sampling moved keyspace_hits by {row.sample.lookups_added:,}, after the window")
    if watch.monitored_s:
        notes.append(f"MONITOR ran for {watch.monitored_s:.1f} s: the times of commands include what it costs")
    if isinstance(row.info, Info) and row.info.number("cluster_enabled"):
        notes.append("this is one node of a cluster, and the others are not looked at")
    return tuple(notes)
