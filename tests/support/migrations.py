"""A slot of a cluster on its way from one node to another, as `redis-cli --cluster reshard` moves it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import redis
from topologies import SLOTS, Cluster

MOST = 100_000


class Migration:
    """`move` takes some keys along, `finish` the rest and tells all nodes. Clients are asked (ASK) in between."""

    def __init__(self, cluster: Cluster, slot: int, source: int, target: int) -> None:
        self._nodes = [redis.Redis.from_url(url) for url in cluster.urls]
        self._ids = [str(self._do(place, "CLUSTER", "MYID"), "ascii") for place in range(len(self._nodes))]
        self._port = cluster.ports[target]
        self.slot, self.source, self.target = slot, source, target

    def begin(self) -> None:
        self._do(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._ids[self.source])
        self._do(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._ids[self.target])

    def move(self, most: int = MOST) -> int:
        keys = self._do(self.source, "CLUSTER", "GETKEYSINSLOT", self.slot, most)
        if keys:
            self._do(self.source, "MIGRATE", "127.0.0.1", self._port, "", 0, 5000, "REPLACE", "KEYS", *keys)
        return len(keys)

    def finish(self) -> None:
        while self.move():
            pass
        # Who imports takes a later epoch, which the others believe.
        for place in dict.fromkeys((self.target, self.source, *range(len(self._nodes)))):
            self._do(place, "CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[self.target])

    def whole(self) -> None:
        self.begin()
        self.finish()

    def errors(self, kind: str) -> int:
        """How often the two nodes have answered so, `MOVED`, `ASK` or `TRYAGAIN`."""
        found = [self._nodes[place].info("errorstats") for place in (self.source, self.target)]
        return sum(int(stats.get(f"errorstat_{kind}", {}).get("count", 0)) for stats in found)

    def keys(self, place: int) -> int:
        return len(self._do(place, "CLUSTER", "GETKEYSINSLOT", self.slot, MOST))

    def close(self) -> None:
        for node in self._nodes:
            node.close()

    def _do(self, place: int, *words: object) -> Any:
        return self._nodes[place].execute_command(*words)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def migration(cluster: Cluster, slot: int, target: int | None = None) -> Iterator[Migration]:
    """Of a slot that lies where `topologies.cluster` put it; it is empty and there again afterwards."""
    source = min(slot // (SLOTS // len(cluster.ports)), len(cluster.ports) - 1)
    moving = Migration(cluster, slot, source, (source + 1) % len(cluster.ports) if target is None else target)
    try:
        yield moving
    finally:
        for url in cluster.urls:
            with redis.Redis.from_url(url) as client:
                client.flushall()
        moving.finish()
        back = Migration(cluster, slot, moving.target, moving.source)
        back.whole()
        back.close()
        moving.close()
