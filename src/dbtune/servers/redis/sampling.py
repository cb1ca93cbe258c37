"""A bounded sample of keys: what they weigh and when they expire, without a command that stalls a server.

SCAN walks the hash table, whose order is random, so that the first keys are a fair sample. Neither SCAN nor MEMORY
USAGE moves keyspace_hits and keyspace_misses; PTTL, TYPE and the lengths do, which is counted (`lookups_added`).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis
from redis import exceptions

from dbtune.checks.cache_survey import BigKey, Sample, SampledKey
from dbtune.core.namespaces import namespaces
from dbtune.servers.redis.wire import Reply, borrowed, packed

SCAN_COUNT = 1000
"""The knee: more per call stalls others, less costs round trips (measured: 1.9 ms for the worst call)."""
MOST_KEYS = 10_000
MOST_SECONDS = 3.0
CHUNK = 250
"""Keys whose sizes are asked for in one go, about a millisecond of the server's time."""
WEIGH_SAMPLES = b"5"
"""Members of a collection that MEMORY USAGE looks at: 0, all of them, would stall the server."""
MOST_BIG = 10
"""The heaviest keys, whose kind and length are asked for."""

_LENGTHS = {
    "string": b"STRLEN", "hash": b"HLEN", "list": b"LLEN", "set": b"SCARD", "zset": b"ZCARD", "stream": b"XLEN",
}  # fmt: skip


def take_sample(client: redis.Redis, *, any_expire: bool = True) -> Sample:
    """At most MOST_KEYS keys of this database in about MOST_SECONDS. `any_expire` False saves asking for TTLs.

    Keys that the user may not look at are left out. Raises redis-py's errors.
    """
    until = time.monotonic() + MOST_SECONDS
    key_count = int(client.dbsize())
    names, whole = _scan(client, until)
    weighed, asked = _weigh(client, names, until, any_expire=any_expire)
    found = {name: reply for name, reply in weighed.items() if isinstance(reply, tuple)}
    refused = next((reply for reply in weighed.values() if isinstance(reply, Exception)), None)
    if refused is not None and not found:
        raise refused
    big, asked_more = _look_closer(client, found)
    keys = tuple(_text(name) for name in found)
    sampled = tuple(
        SampledKey(key, prefix, size_bytes, expires_in_s)
        for key, prefix, (size_bytes, expires_in_s) in zip(keys, namespaces(keys), found.values(), strict=True)
    )
    return Sample(sampled, big, whole and len(weighed) == len(names), key_count, asked + asked_more)


def _scan(client: redis.Redis, until: float) -> tuple[list[bytes], bool]:
    """Names, and whether these are all."""
    cursor, names = 0, dict[Any, None]()
    while True:
        cursor, found = client.scan(cursor, count=SCAN_COUNT)
        names.update(dict.fromkeys(found))
        if cursor == 0 or len(names) >= MOST_KEYS or time.monotonic() >= until:
            return list(names)[:MOST_KEYS], cursor == 0 and len(names) <= MOST_KEYS


Weight = tuple[int, float | None]


def _weigh(
    client: redis.Redis, names: Sequence[bytes], until: float, *, any_expire: bool
) -> tuple[dict[bytes, Weight | exceptions.ResponseError | None], int]:
    """Bytes and seconds to live by name, None for a key that has gone; and how many look-ups that took."""
    found: dict[bytes, Weight | exceptions.ResponseError | None] = {}
    asked = 0
    for start in range(0, len(names), CHUNK):
        if start and time.monotonic() >= until:
            break
        chunk = names[start : start + CHUNK]
        sizes = _ask(client, [packed(b"MEMORY", b"USAGE", name, b"SAMPLES", WEIGH_SAMPLES) for name in chunk])
        lives: Iterator[Reply] = iter([-1] * len(chunk))
        if any_expire:
            lives = _ask(client, [packed(b"PTTL", name) for name in chunk])
            asked += len(chunk)
        for name, size, left_ms in zip(chunk, list(sizes), list(lives), strict=True):
            found[name] = _weight(size, left_ms)
    return found, asked


def _weight(size: Reply, left_ms: Reply) -> Weight | exceptions.ResponseError | None:
    for reply in (size, left_ms):
        if isinstance(reply, exceptions.ResponseError):
            return reply
    if not isinstance(size, int) or not isinstance(left_ms, int) or left_ms == -2:
        return None
    return size, left_ms / 1000 if left_ms >= 0 else None


def _look_closer(client: redis.Redis, weights: dict[bytes, Weight]) -> tuple[tuple[BigKey, ...], int]:
    """The largest of the sample with their kind and length, and how many look-ups that took."""
    heavy = heapq.nlargest(MOST_BIG, weights, key=lambda name: weights[name][0])
    kinds = [
        _text(kind) if isinstance(kind, bytes) else "" for kind in _ask(client, [packed(b"TYPE", n) for n in heavy])
    ]
    known = [(name, kind) for name, kind in zip(heavy, kinds, strict=True) if kind in _LENGTHS]
    lengths = list(_ask(client, [packed(_LENGTHS[kind], name) for name, kind in known]))
    big = tuple(
        BigKey(_text(name), kind, weights[name][0], length)
        for (name, kind), length in zip(known, lengths, strict=True)
        if isinstance(length, int)
    )
    return big, len(heavy) + len(known)


def _ask(client: redis.Redis, commands: Sequence[bytes]) -> Iterator[Reply]:
    if not commands:
        return iter(())
    with borrowed(client) as wire:
        return iter(list(wire.send(commands)))


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
