"""`dbtune cache --watch`: what moved since a moment ago, again and again, also across restarts of the server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dbtune.app.cache import command_times, commands_of, memory_of
from dbtune.app.cache_cluster import joined_info, joined_traffic
from dbtune.checks.cache_survey import Info, Unseen
from dbtune.core.cache_report import CommandTimes, Memory, Traffic
from dbtune.core.errors import DbtuneError
from dbtune.servers.redis.errors import describe_target
from dbtune.servers.redis.nodes import node_urls
from dbtune.servers.redis.watching import Counters, Histogram, added, between, counters

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


@dataclass(frozen=True, slots=True)
class _Moved:
    """What one server did since its last reading; None where there is none to compare with, and `note` says why."""

    now: _Reading | None
    traffic: Traffic | None = None
    times: Mapping[str, Histogram] = field(default_factory=dict)
    note: str = ""


class _Node:
    """One server, whose connection is made anew when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = contextlib.ExitStack()
        self._counter: Counters | None = None
        self._before: _Reading | None = None

    def read(self) -> _Moved:
        """Raises TargetError when it does not answer; what comes after that is not compared with what was before."""
        try:
            self._counter = self._counter or self._stack.enter_context(counters(self._url))
            now = _read(self._counter)
        except DbtuneError:
            self.close()
            raise
        before, self._before = self._before, now
        return _moved(before, now)

    def close(self) -> None:
        self._stack.close()
        self._counter = self._before = None


def beats(url: str, every_s: float, most: int | None = None) -> Iterator[Beat]:
    """`most` looks (None: until the caller stops). A server that went away is waited for, once it has answered.

    Of a cluster all its primaries are watched, whichever those are then. Raises TargetError when nobody answers the
    first time.
    """
    nodes = _nodes(url, {})
    try:
        _begin([*nodes.values()])
        while most is None or most > 0:
            time.sleep(every_s)
            most = None if most is None else most - 1
            moved = [_again(node) for node in nodes.values()]
            yield _beat(moved)
            if any(one.now is None for one in moved):
                # Another may have taken over.
                with contextlib.suppress(DbtuneError):
                    nodes = _nodes(url, nodes)
    finally:
        for node in nodes.values():
            node.close()


def _begin(nodes: Sequence[_Node]) -> None:
    """The first readings. Raises what the first node's was refused with when there is none at all."""
    failures: list[DbtuneError] = []
    for node in nodes:
        try:
            node.read()
        except DbtuneError as error:
            failures.append(error)
    if len(failures) == len(nodes):
        raise failures[0]


def _nodes(url: str, known: Mapping[str, _Node]) -> dict[str, _Node]:
    found = {one: known.get(one) or _Node(one) for one in node_urls(url)}
    for one in known.keys() - found.keys():
        known[one].close()
    return found


def _again(node: _Node) -> _Moved:
    try:
        return node.read()
    except DbtuneError as error:
        return _Moved(None, note=error.message)


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


def _moved(before: _Reading | None, now: _Reading) -> _Moved:
    if before is None:
        return _Moved(now, note="the first look since the server came back")
    moved = [now.info.number(name) - before.info.number(name) for name in MOVING]
    if before.info.text("run_id") != now.info.text("run_id") or min(moved) < 0:
        return _Moved(now, note="the server restarted, or its counters were reset")
    count = commands_of(now.info.values) - commands_of(before.info.values) - (now.own - before.own)
    hits, misses, evicted, expired = map(round, moved)
    traffic = Traffic(now.at - before.at, hits, misses, evicted, expired, max(0, count))
    return _Moved(now, traffic, between(before.times, now.times))


def _beat(moved: Sequence[_Moved]) -> Beat:
    """All of them as one. Where one cannot be compared, the others' counts alone are no rate of the whole cache."""
    infos = [one.now.info for one in moved if one.now is not None]
    traffic = [one.traffic for one in moved if one.traffic is not None]
    return Beat(
        at=datetime.now(UTC),
        traffic=joined_traffic(traffic) if traffic and len(traffic) == len(moved) else None,
        memory=memory_of(joined_info(infos)) if infos else None,
        clients=sum(int(info.number("connected_clients")) for info in infos),
        keys=sum(info.keys for info in infos),
        commands=command_times(added(one.times for one in moved)),
        note="; ".join(dict.fromkeys(one.note for one in moved if one.note)) or None,
    )
