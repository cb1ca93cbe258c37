"""Everything that an audit asks one Redis or Valkey: INFO, its logs, its clients, and a sample of its keys.

Bounded in commands and in time, and nothing is written. What the user may not do becomes an Unseen in its place.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import redis
from redis import exceptions

from dbtune.checks.cache_survey import (
    CacheSurvey,
    Client,
    Info,
    LatencyEvent,
    Sample,
    SlowCommand,
    TagMembers,
    Unseen,
    Window,
)
from dbtune.core.errors import Unreachable
from dbtune.core.namespaces import namespace
from dbtune.servers.redis.errors import describe_target, server_error
from dbtune.servers.redis.sampling import take_sample
from dbtune.servers.redis.session import connect
from dbtune.servers.redis.tag_sampling import sample_tags
from dbtune.servers.redis.wire import Reply, borrowed, packed

MOST_SLOW = 128
MOST_CLIENTS = 5000
"""CLIENT LIST writes a line for each: more than a megabyte beyond this."""
NO_WINDOW = Unseen("a hit rate is judged over a window, not since the server started", "give --window 60s")

Part = TypeVar("Part")


@contextlib.contextmanager
def opened_survey(url: str) -> Iterator[Callable[[float], CacheSurvey]]:
    """Reads the counters now; calling what this yields with the seconds since then makes the survey (0: no window).

    Keys are sampled last, after the second reading: the look-ups that it takes are in no window of ours.
    Raises Unreachable, Refused, Unsupported when the server cannot be talked to at all.
    """
    client = connect(url)
    try:
        before = _seen(lambda: _info(client), "reading INFO")

        def survey(window_s: float) -> CacheSurvey:
            after = _seen(lambda: _info(client), "reading INFO")
            sample, tags = _sample(client, after)
            return CacheSurvey(
                target=describe_target(url),
                info=after,
                window=_window(before, after, window_s),
                slow=_slow(client),
                latency=_latency(client),
                clients=_clients(client, after),
                sample=sample,
                tags=tags,
            )

        yield survey
    finally:
        client.close()


def _seen(look: Callable[[], Part], doing: str) -> Part | Unseen:
    """What `look` finds, or why it may not. A lost connection is raised: nothing more can be seen then."""
    try:
        return look()
    except exceptions.RedisError as error:
        told = server_error(error, doing)
        if isinstance(told, Unreachable):
            raise told from error
        return Unseen(told.message, told.hint)


def _info(client: redis.Redis) -> Info:
    found: Mapping[str, Any] = client.info()
    databases = [value for key, value in found.items() if key.startswith("db") and isinstance(value, dict)]
    replicas = [value for key, value in found.items() if key.startswith("slave") and isinstance(value, dict)]
    return Info(
        values={key: value for key, value in found.items() if isinstance(value, str | int | float)},
        keys=sum(int(one.get("keys", 0)) for one in databases),
        expiring=sum(int(one.get("expires", 0)) for one in databases),
        replicas=tuple({str(key): str(value) for key, value in one.items()} for one in replicas),
    )


def _window(before: Info | Unseen, after: Info | Unseen, seconds: float) -> Window | Unseen:
    if isinstance(after, Unseen):
        return after
    if seconds <= 0:
        return NO_WINDOW
    if isinstance(before, Unseen):
        return before
    names = ("keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys")
    hits, misses, evicted, expired = (after.number(name) - before.number(name) for name in names)
    if before.text("run_id") != after.text("run_id") or min(hits, misses, evicted, expired) < 0:
        return Unseen("the server restarted or its counters were reset within the window", "run the audit again")
    return Window(seconds, hits, misses, evicted, expired)


def _slow(client: redis.Redis) -> tuple[SlowCommand, ...] | Unseen:
    name = "slowlog-log-slower-than"
    found = _seen(lambda: _items(_raw(client, b"SLOWLOG", b"GET", b"%d" % MOST_SLOW)), "reading the slow log")
    if isinstance(found, Unseen):
        return found
    if not found and _setting(_seen(lambda: client.config_get(name), f"reading {name}"), name).startswith("-"):
        return Unseen("the slow log is off", f"CONFIG SET {name} 10000")
    return tuple(_slow_command(entry) for entry in found if not _is_ours(entry))


def _is_ours(entry: Any) -> bool:  # noqa: ANN401 - a reply
    return len(entry) > 5 and entry[5] == b"dbtune"


def _slow_command(entry: Any) -> SlowCommand:  # noqa: ANN401 - id, start, microseconds, arguments, address, client name
    arguments = [_text(argument) for argument in entry[3]]
    command = arguments[0].upper() if arguments else "?"
    key = _first_key(command, arguments)
    return SlowCommand(command, namespace(key) if key else "", entry[2] / 1e6, max(0.0, time.time() - entry[1]))


def _first_key(command: str, arguments: list[str]) -> str:
    if command in {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"}:
        return arguments[3] if len(arguments) > 3 and arguments[2] != "0" else ""
    keyless = {"KEYS", "SCAN", "FLUSHALL", "FLUSHDB", "INFO", "CONFIG", "CLIENT", "DEBUG", "SCRIPT", "COMMAND", "ACL"}
    return arguments[1] if len(arguments) > 1 and command not in keyless | {"PING", "AUTH", "HELLO", "SAVE"} else ""


def _latency(client: redis.Redis) -> tuple[LatencyEvent, ...] | Unseen:
    events = _seen(lambda: _items(_raw(client, b"LATENCY", b"LATEST")), "reading latency events")
    if isinstance(events, Unseen):
        return events
    threshold = _seen(lambda: client.config_get("latency-monitor-threshold"), "reading latency-monitor-threshold")
    if not events and isinstance(threshold, Unseen):
        return threshold
    if not events and _setting(threshold, "latency-monitor-threshold") == "0":
        return Unseen("the latency monitor is off", "CONFIG SET latency-monitor-threshold 100")
    now = time.time()
    return tuple(LatencyEvent(_text(one[0]), one[2] / 1e3, one[3] / 1e3, max(0.0, now - one[1])) for one in events)


def _setting(found: Any, name: str) -> str:  # noqa: ANN401 - what CONFIG GET answers, in bytes or in text
    known = {} if isinstance(found, Unseen) else dict(found)
    return str({_text(key): _text(value) for key, value in known.items()}.get(name, ""))


def _clients(client: redis.Redis, info: Info | Unseen) -> tuple[Client, ...] | Unseen:
    if not isinstance(info, Unseen) and info.number("connected_clients") > MOST_CLIENTS:
        count = f"{info.number('connected_clients'):,.0f}"
        return Unseen(f"{count} clients are connected, too many to list", "look at CLIENT LIST on a replica")
    return _seen(lambda: tuple(map(_client, client.client_list())), "listing clients")


def _client(row: Mapping[str, str]) -> Client:
    local = "U" in row.get("flags", "")
    return Client(
        address="unix socket" if local else row.get("addr", "?").rpartition(":")[0],
        name=row.get("name", ""),
        blocked="b" in row.get("flags", ""),
        idle_s=float(row.get("idle", 0)),
        buffer_bytes=int(row.get("omem", 0)) + int(row.get("qbuf", 0)),
    )


def _sample(client: redis.Redis, info: Info | Unseen) -> tuple[Sample | Unseen, tuple[TagMembers, ...] | Unseen]:
    any_expire = isinstance(info, Unseen) or info.expiring > 0
    sample = _seen(lambda: take_sample(client, any_expire=any_expire), "sampling keys")
    if isinstance(sample, Unseen):
        return sample, sample
    found = _seen(lambda: sample_tags(client, sample), "sampling tags")
    if isinstance(found, Unseen):
        return sample, found
    tags, lookups = found
    return replace(sample, lookups_added=sample.lookups_added + lookups), tags


def _raw(client: redis.Redis, *arguments: bytes) -> Reply:
    """A reply as the server sent it: redis-py joins a slow command's arguments. Raises its error."""
    with borrowed(client) as wire:
        reply = next(iter(list(wire.send([packed(*arguments)]))))
    if isinstance(reply, Exception):
        raise reply
    return reply


def _items(reply: Reply) -> list[Any]:
    return list(reply) if isinstance(reply, list) else []


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
