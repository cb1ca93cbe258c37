"""`dbtune cache --watch`: what moved since a moment ago, again and again, also across restarts of the server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dbtune.app.cache import commands_of, memory_of, times_between
from dbtune.checks.cache_survey import Info, Unseen
from dbtune.core.cache_report import CommandTimes, Memory, Traffic
from dbtune.core.errors import Unreachable
from dbtune.servers.redis.errors import describe_target
from dbtune.servers.redis.watching import Counters, Histogram, counters, refuse_cluster

__all__ = ["Beat", "beats", "describe_target"]

MOVING = ("keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys")


@dataclass(frozen=True, slots=True)
class Beat:
    """One look. `traffic` is None where there is nothing to compare with, and `note` says why."""

    at: datetime
    traffic: Traffic | None
    memory: Memory | None
    clients: int
    keys: int
    commands: tuple[CommandTimes, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    info: Info
    times: Mapping[str, Histogram]
    own: int


def beats(url: str, every_s: float, most: int | None = None) -> Iterator[Beat]:
    """`most` looks (None: until the caller stops). A server that went away is waited for, once it has answered.

    Raises TargetError when it does not answer the first time.
    """
    refuse_cluster(url)
    with contextlib.ExitStack() as stack:
        counter: Counters | None = stack.enter_context(counters(url))
        before = _read(counter) if counter else None
        while most is None or most > 0:
            time.sleep(every_s)
            most = None if most is None else most - 1
            try:
                counter = counter or stack.enter_context(counters(url))
                now = _read(counter)
            except Unreachable as error:
                counter = before = None
                yield Beat(datetime.now(UTC), None, None, 0, 0, note=error.message)
                continue
            yield _beat(before, now)
            before = now


def _read(counter: Counters) -> _Reading:
    values = counter.info()
    databases = [value for key, value in values.items() if key.startswith("db") and isinstance(value, dict)]
    info = Info(
        {key: value for key, value in values.items() if isinstance(value, str | int | float)},
        sum(int(one.get("keys", 0)) for one in databases),
        sum(int(one.get("expires", 0)) for one in databases),
    )
    times = counter.times()
    return _Reading(time.monotonic(), info, {} if isinstance(times, Unseen) else times, counter.own)


def _beat(before: _Reading | None, now: _Reading) -> Beat:
    traffic, note = None, "the first look since the server came back"
    commands: tuple[CommandTimes, ...] = ()
    if before is not None:
        moved = [now.info.number(name) - before.info.number(name) for name in MOVING]
        if before.info.text("run_id") != now.info.text("run_id") or min(moved) < 0:
            note = "the server restarted, or its counters were reset"
        else:
            ours = now.own - before.own
            count = commands_of(now.info.values) - commands_of(before.info.values) - ours
            hits, misses, evicted, expired = moved
            traffic = Traffic(now.at - before.at, hits, misses, evicted, expired, max(0.0, count))
            note = ""
            commands = times_between(before.times, now.times)
    return Beat(
        at=datetime.now(UTC),
        traffic=traffic,
        memory=memory_of(now.info),
        clients=int(now.info.number("connected_clients")),
        keys=now.info.keys,
        commands=commands,
        note=note or None,
    )
