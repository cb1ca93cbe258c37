"""What a window shows beside INFO: how long commands took, which prefixes missed, what was asked for.

Misses by prefix need keyspace notifications (`notify-keyspace-events Em`), which only the server's owner may turn on.
Reads by prefix need MONITOR, which costs a server up to half of its throughput: it is asked for, and short.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from redis import exceptions

from dbtune.checks.cache_survey import Unseen
from dbtune.core.errors import Unreachable
from dbtune.core.namespaces import namespace
from dbtune.servers.redis.errors import server_error, translated
from dbtune.servers.redis.nodes import pipelined
from dbtune.servers.redis.session import connect

MOST_MONITORED = 50_000
NEEDS_NOTIFICATIONS = Unseen(
    "misses by prefix need keyspace notifications of missed keys",
    "CONFIG SET notify-keyspace-events Em while you look; each miss is then published",
)
# The commands that count as look-ups, by where their keys stand.
READS = frozenset(
    """GET GETEX STRLEN GETRANGE HGET HMGET HGETALL HLEN HKEYS HVALS LRANGE LLEN LINDEX SMEMBERS SISMEMBER SCARD
    ZRANGE ZSCORE ZCARD ZREVRANGE ZRANGEBYSCORE EXISTS TTL PTTL TYPE""".split()  # noqa: SIM905 - a list of words
)

Histogram = dict[int, int]
"""Calls by microseconds, cumulative: how many took at most so long."""


@dataclass(slots=True)
class Watch:
    """Counts up to the moment at which it is read. `unseen` says why there are no misses."""

    misses: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    unseen: Unseen | None = None
    monitored_s: float = 0.0


class Counters:
    """Over one connection: command times and how many commands there were, ours counted out."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.own = 0

    def times(self) -> Mapping[str, Histogram] | Unseen:
        """By command, since the server started counting. Unseen before Redis 7."""
        (reply,) = self.ask(b"LATENCY", b"HISTOGRAM")
        if isinstance(reply, exceptions.ResponseError):
            told = server_error(reply, "reading command times")
            return Unseen(told.message, told.hint)
        found = _pairs(reply)
        return {
            _text(name): {int(edge): int(count) for edge, count in _pairs(_pairs(facts).get(b"histogram_usec")).items()}
            for name, facts in found.items()
        }

    def info(self) -> Mapping[str, object]:
        self.own += 1
        with translated("reading INFO"):
            return dict(self._client.info())

    def ask(self, *words: bytes) -> list[object]:
        self.own += 1
        return pipelined(self._client, [words])


@contextlib.contextmanager
def counters(url: str) -> Iterator[Counters]:
    """Raises what connecting raises."""
    with contextlib.closing(connect(url)) as client:
        yield Counters(client)


def between(before: Mapping[str, Histogram], after: Mapping[str, Histogram]) -> dict[str, Histogram]:
    """What came between two readings; nothing of a command whose counts were reset."""
    found: dict[str, Histogram] = {}
    for name, buckets in after.items():
        known = before.get(name, {})
        # Buckets appear when they are first used: up to there it was the next lower one's count.
        moved = {edge: count - _at(known, edge) for edge, count in buckets.items()}
        if max(moved.values(), default=0) > 0 and min(moved.values()) >= 0:
            found[name] = moved
    return found


@contextlib.contextmanager
def watched(url: str, *, monitor_s: float = 0.0) -> Iterator[Watch]:
    """Counts misses, and for `monitor_s` reads, by prefix while the block runs; threads of their own end with it."""
    watch = Watch()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(connect(url)))
        stop = threading.Event()
        threads = []
        if _announces_misses(client):
            subscription = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            stack.callback(subscription.close)
            database = client.connection_pool.connection_kwargs.get("db", 0)
            subscription.psubscribe(f"__keyevent@{database}__:keymiss")
            threads.append(threading.Thread(target=_count_misses, args=(subscription, watch, stop), daemon=True))
        else:
            watch.unseen = NEEDS_NOTIFICATIONS
        if monitor_s:
            threads.append(threading.Thread(target=_count_reads, args=(url, watch, monitor_s, stop), daemon=True))
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=10.0)


def _announces_misses(client: redis.Redis) -> bool:
    try:
        flags = str(client.config_get("notify-keyspace-events").get("notify-keyspace-events", ""))
    except exceptions.ResponseError:
        return False
    return "E" in flags and "m" in flags


def _count_misses(subscription: redis.client.PubSub, watch: Watch, stop: threading.Event) -> None:
    with contextlib.suppress(exceptions.RedisError, OSError, ValueError):
        while not stop.is_set():
            message = subscription.get_message(timeout=0.1)
            if message is not None:
                watch.misses[namespace(_text(message["data"]))] += 1


def _count_reads(url: str, watch: Watch, seconds: float, stop: threading.Event) -> None:
    """MONITOR until its time is over or enough was seen. It ends with its connection."""
    started = time.monotonic()
    with (
        contextlib.suppress(exceptions.RedisError, OSError, ValueError, Unreachable),
        contextlib.closing(connect(url, work_timeout_s=0.2)) as client,
        client.monitor() as monitor,  # type: ignore[no-untyped-call]
    ):
        while not stop.is_set() and time.monotonic() - started < seconds and watch.reads.total() < MOST_MONITORED:
            with contextlib.suppress(exceptions.TimeoutError):
                command = str(monitor.next_command()["command"]).split(" ")
                name = command[0].upper()
                if name in READS and len(command) > 1:
                    watch.reads[namespace(command[1])] += 1
                elif name == "MGET":
                    watch.reads.update(namespace(key) for key in command[1:])
    watch.monitored_s = time.monotonic() - started


def added(parts: Iterable[Mapping[str, Histogram]]) -> dict[str, Histogram]:
    """What several servers counted, as one: an edge that one of them has not used holds its next lower one's count."""
    every = tuple(parts)
    found: dict[str, Histogram] = {}
    for name in dict.fromkeys(name for part in every for name in part):
        own = [part[name] for part in every if name in part]
        edges = sorted({edge for one in own for edge in one})
        found[name] = {edge: sum(_at(one, edge) for one in own) for edge in edges}
    return found


def _at(cumulative: Histogram, edge: int) -> int:
    return max((count for known, count in cumulative.items() if known <= edge), default=0)


def _pairs(reply: object) -> dict[Any, Any]:
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True)) if isinstance(reply, list) else {}


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
