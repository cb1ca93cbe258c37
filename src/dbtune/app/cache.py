"""`dbtune cache`: a window over the counters, a sample of the keys, and what the checks of Redis say of both."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from dbtune.app.cache_cluster import joined, judged, those_that_answer, watched_together
from dbtune.checks.cache_survey import CacheSurvey, Info, Sample, Unseen, Window
from dbtune.checks.check import Audited, checks
from dbtune.core.cache_report import (
    CacheReport,
    CommandTimes,
    Heavy,
    Memory,
    NodeUse,
    PrefixUse,
    Traffic,
    histogram,
    percentile,
)
from dbtune.core.findings import SEVERITIES, Finding, Unexamined
from dbtune.core.progress import Progress
from dbtune.servers.redis.watching import Histogram, Watch, added, between, counters, watched

MOST_PREFIXES = 30
MOST_COMMANDS = 12
OURS = ("info", "latency|histogram", "client|setinfo", "client|setname", "hello", "ping", "config|get", "psubscribe")


@dataclass(frozen=True, slots=True)
class Look:
    """`window_s` to watch; `monitor_s` of it with MONITOR, 0: without."""

    window_s: float = 5.0
    monitor_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One server after the window. `commands` are others', `times` those of the window."""

    survey: CacheSurvey
    commands: int
    times: Mapping[str, Histogram] | Unseen
    watch: Watch


def look_at_cache(url: str, look: Look, progress: Progress) -> CacheReport:
    """Of a server, or of all primaries of the cluster that it is a node of.

    Changes nothing. Raises TargetError when nobody can be talked to; whatever is smaller is `skipped`.
    """
    from dbtune.servers.redis.nodes import node_urls
    from dbtune.servers.redis.session import describe_target

    started_at, clock = datetime.now(UTC), time.monotonic()
    seen, away = _seen(node_urls(url), look, progress)
    whole = joined(describe_target(url), [one.survey for one in seen])
    watch = watched_together([one.watch for one in seen])
    times = [one.times for one in seen if not isinstance(one.times, Unseen)]
    findings, skipped = _judge(whole, [one.survey for one in seen])
    sample = None if isinstance(whole.sample, Unseen) else whole.sample
    nodes = tuple(_node(one) for one in seen) if len(seen) + len(away) > 1 else ()
    return CacheReport(
        target=whole.target,
        server=whole.info.server if isinstance(whole.info, Info) else "redis",
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        keys=whole.info.keys if isinstance(whole.info, Info) else None,
        expiring=whole.info.expiring if isinstance(whole.info, Info) else None,
        sampled=len(sample.keys) if sample else 0,
        traffic=_traffic(whole.window, sum(one.commands for one in seen)),
        memory=memory_of(whole.info),
        commands=command_times(added(times)),
        prefixes=_prefixes(sample, watch),
        lives=histogram([key.expires_in_s for key in sample.keys]) if sample else (),
        heaviest=tuple(Heavy(one.name, one.kind, one.size_bytes, one.elements) for one in sample.big) if sample else (),
        findings=findings,
        skipped=(*away, *skipped, *_unseen(whole, watch, None if times else seen[0].times)),
        examined=_examined(skipped),
        notes=_notes(whole, watch),
        nodes=nodes,
    )


def _seen(urls: Sequence[str], look: Look, progress: Progress) -> tuple[list[Seen], tuple[Unexamined, ...]]:
    """Every server that answers, watched in one window; of a cluster also which do not."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(urls), "dbtune-cache") as pool:
        opened, away = those_that_answer(urls, lambda url: _Opened(url, look, stack))
        begun = time.monotonic()
        for one in opened:
            one.begin()
        _wait(look.window_s, progress)
        seconds = time.monotonic() - begun
        for one in opened:
            one.end()
        progress("sampling keys")
        # At the same time: each is bounded in time, and a cluster may have many.
        return list(pool.map(lambda one: one.seen(seconds if look.window_s else 0.0), opened)), away


class _Opened:
    """One server under observation; its connections are closed with the stack."""

    def __init__(self, url: str, look: Look, stack: contextlib.ExitStack) -> None:
        from dbtune.servers.redis.survey import opened_survey

        self._survey = stack.enter_context(opened_survey(url))
        self._counter = stack.enter_context(counters(url))
        self._watch = stack.enter_context(watched(url, monitor_s=look.monitor_s))

    def begin(self) -> None:
        self._times = self._counter.times()
        self._commands, self._own = commands_of(self._counter.info()), self._counter.own

    def end(self) -> None:
        now = commands_of(self._counter.info())
        self._moved = now - self._commands - (self._counter.own - self._own)
        before, after = self._times, self._counter.times()
        if not (isinstance(before, Unseen) or isinstance(after, Unseen)):
            self._times = between(before, after)

    def seen(self, seconds: float) -> Seen:
        return Seen(self._survey(seconds), self._moved, self._times, self._watch)


def _node(seen: Seen) -> NodeUse:
    info = seen.survey.info
    keys = info.keys if isinstance(info, Info) else None
    return NodeUse(seen.survey.target, keys, _traffic(seen.survey.window, seen.commands), memory_of(info))


def _wait(seconds: float, progress: Progress) -> None:
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        progress("watching the counters", 1 - left_s / seconds)
        time.sleep(min(left_s, 0.25))


def commands_of(info: Mapping[str, object]) -> int:
    """All that the server was ever sent, ours among them."""
    found = info.get("total_commands_processed", 0)
    return int(found) if isinstance(found, int | float) else 0


def _traffic(window: Window | Unseen, commands: int) -> Traffic | None:
    if isinstance(window, Unseen):
        return None
    counts = (window.hits, window.misses, window.evicted, window.expired, max(0, commands))
    return Traffic(window.seconds, *map(round, counts))


def memory_of(info: Info | Unseen) -> Memory | None:
    if isinstance(info, Unseen) or "used_memory" not in info.values:
        return None
    return Memory(
        used_bytes=round(info.number("used_memory")),
        peak_bytes=round(info.number("used_memory_peak")),
        limit_bytes=round(info.number("maxmemory")),
        policy=info.text("maxmemory_policy"),
        fragmentation=info.number("mem_fragmentation_ratio") or None,
    )


def command_times(moved: Mapping[str, Histogram]) -> tuple[CommandTimes, ...]:
    """Of what came within a window; those that were called most."""
    rows = [
        CommandTimes(name, max(one.values()), *(percentile(one, share) for share in (0.5, 0.95, 0.99)))
        for name, one in moved.items()
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


def _judge(whole: CacheSurvey, nodes: Sequence[CacheSurvey]) -> tuple[tuple[Finding, ...], tuple[Unexamined, ...]]:
    nobody = Audited(
        version=0, database="", user="", is_superuser=False, is_replica=False, statistics_age_s=None, window_s=0.0
    )
    known = [check for check in checks().values() if check.source == "redis"]
    verdicts = judged(whole, nodes, lambda row: [one for check in known for one in check.judge([row], nobody)])
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
    return tuple(notes)
