"""Invalidating by tag: 10,000 members in a keyspace of 1,000,000, against what `redis-cli --scan` would do by pattern.

Both remove the same 10,000 keys of one server. The pattern is found with SCAN MATCH and removed with UNLINK in
pipelines of redis-py, the usual recipe; the tag knows its members. The first line says whether the worst kept 100 ms.
"""

from __future__ import annotations

import statistics
import time

import redis

from dbtune.cache.rules import Stale
from dbtune.cache.tags import tag_key
from dbtune.servers.embedded.valkey import embedded_valkey
from dbtune.servers.redis.invalidate import Invalidation
from dbtune.servers.redis.nodes import opened_nodes

PAIRS = 5
GOAL_S = 0.1
KEYSPACE, MEMBERS = 1_000_000, 10_000
VALUE = b"x" * 115


def main() -> None:
    with embedded_valkey() as server, redis.Redis.from_url(server.url) as client:
        fill(client, b"other:%d", KEYSPACE - MEMBERS)
        pairs = [(by_tag(server.url, client), by_pattern(client)) for _ in range(PAIRS)]
    ours = sorted(pair[0] for pair in pairs)
    median_s = statistics.median(ours)
    worst_s = ours[-1]
    print(
        f"by tag: median {median_s * 1000:.0f} ms, worst {worst_s * 1000:.0f} ms,"
        f" goal 100 ms: {'kept' if worst_s < GOAL_S else 'missed'}"
    )
    print(f"by pattern: median {statistics.median(pair[1] for pair in pairs) * 1000:.0f} ms")
    ratios = sorted(tag_s / pattern_s for tag_s, pattern_s in pairs)
    print(
        f"ratio {statistics.median(ratios):.3f} (min {ratios[0]:.3f}, max {ratios[-1]:.3f}) over {PAIRS} pairs:"
        f" {MEMBERS:,} members of a tag among {KEYSPACE:,} keys against SCAN and UNLINK with redis-py"
    )


def by_tag(url: str, client: redis.Redis) -> float:
    """Seconds, the connection and the counting included."""
    expiry_ms = int(time.time() * 1000) + 3_600_000
    for start in range(0, MEMBERS, 1000):
        client.zadd(tag_key("list"), {b"list:%d" % number: expiry_ms for number in range(start, start + 1000)})
    fill(client, b"list:%d", MEMBERS)
    started = time.perf_counter()
    with opened_nodes(url) as nodes:
        (row,) = Invalidation(nodes).run(Stale(tags=("list",)))
    taken_s = time.perf_counter() - started
    if row.keys != MEMBERS:
        raise SystemExit(f"{row.keys} keys went, not {MEMBERS}")
    return taken_s


def by_pattern(client: redis.Redis) -> float:
    fill(client, b"list:%d", MEMBERS)
    started = time.perf_counter()
    removed, batch = 0, list[bytes]()
    for key in client.scan_iter(match="list:*", count=1000):
        batch.append(key)
        if len(batch) == 1000:
            removed, batch = removed + int(client.unlink(*batch)), []
    removed += int(client.unlink(*batch)) if batch else 0
    taken_s = time.perf_counter() - started
    if removed != MEMBERS:
        raise SystemExit(f"{removed} keys went, not {MEMBERS}")
    return taken_s


def fill(client: redis.Redis, name: bytes, count: int) -> None:
    for start in range(0, count, 10_000):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(count, start + 10_000)):
            pipeline.set(name % number, VALUE, ex=7200)
        pipeline.execute()


if __name__ == "__main__":
    main()
