"""Slots of a cluster that move, key by key, while keys are written and removed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis
from migrations import Migration, migration
from patience import until
from topologies import Cluster

from dbtune.cache.rules import Stale
from dbtune.cache.slots import slot
from dbtune.core.actions import WarmKeys
from dbtune.core.warming import CacheAway, WarmStopped
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis.invalidate import Caps, Invalidation
from dbtune.servers.redis.nodes import opened_nodes
from dbtune.servers.redis.pace import Pace
from dbtune.servers.redis.warm import warm

ROWS, MOVED = 600, 100
# Half of the keys lie in one slot, that of their hash tag; the others anywhere.
QUERY = (
    "select case when n % 2 = 0 then '{hot}' else '' end || n as id, VERSION as version from generate_series(1, 600) n"
)
HOT = slot(b"hot")
BATCHES_OF_100 = Pace(max_rate=2000)


@pytest.fixture
def moving(redis_cluster: Cluster) -> Iterator[Migration]:
    with migration(redis_cluster, HOT) as moving:
        yield moving


def warming(version: int, mode: str = "overwrite") -> WarmKeys:
    return WarmKeys(
        query=QUERY.replace("VERSION", str(version)),
        key="item:{id}",
        ttl_s=3600.0,
        jitter=0.1,
        tags=("items",),
        marker="dbtune:warm:moving",
        fingerprint="f",
        fresh_for_s=1800.0,
        mode=cast("Any", mode),
    )


def versions(client: redis.Redis) -> set[int | None]:
    names = [f"item:{'{hot}' if number % 2 == 0 else ''}{number}" for number in range(1, ROWS + 1)]
    values = cast("list[bytes | None]", [client.get(name) for name in names])
    return {None if value is None else json.loads(value)["version"] for value in values}


def test_a_warm_up_asks_the_other_node_for_keys_that_have_gone_there(
    connection: postgres.Connection, whole: redis.Redis, moving: Migration
) -> None:
    warm(connection, whole, warming(1))
    moving.begin()
    moving.move(MOVED)
    before = moving.errors("ASK")
    warmed = warm(connection, whole, warming(2))
    assert (warmed.keys, warmed.failed) == (ROWS, 0)
    assert moving.errors("ASK") - before >= MOVED
    assert (moving.keys(moving.target), moving.keys(moving.source)) == (MOVED, ROWS // 2 - MOVED)
    moving.finish()
    assert versions(whole) == {2}


def test_comparing_in_the_server_waits_until_the_slot_has_arrived(
    connection: postgres.Connection, whole: redis.Redis, moving: Migration
) -> None:
    """A key and its tombstone may be on both sides: the nodes say TRYAGAIN until they are together again."""
    warm(connection, whole, warming(1))
    moving.begin()
    moving.move(MOVED)
    before = moving.errors("TRYAGAIN")

    def arrive() -> None:
        until(lambda: moving.errors("TRYAGAIN") > before, "a key is met on its way")
        moving.finish()

    thread = threading.Thread(target=arrive)
    thread.start()
    try:
        warmed = warm(connection, whole, warming(2, "newer"))
    finally:
        thread.join()
    assert (warmed.keys, warmed.kept, warmed.failed) == (ROWS, 0, 0)
    assert versions(whole) == {2}


def test_a_slot_that_does_not_arrive_is_a_cache_that_is_away_for_a_moment(
    connection: postgres.Connection, whole: redis.Redis, moving: Migration
) -> None:
    warm(connection, whole, warming(1))
    moving.begin()
    moving.move(MOVED)
    with pytest.raises(WarmStopped, match="during rehashing of slot") as stopped:
        warm(connection, whole, warming(2, "newer"))
    assert isinstance(stopped.value.cause, CacheAway)
    assert stopped.value.warmed.failed > 0
    moving.finish()
    assert warm(connection, whole, warming(2, "newer")).keys == ROWS


@pytest.mark.parametrize("mode", ["overwrite", "newer"])
def test_a_slot_that_moves_in_the_middle_of_a_warm_up_takes_its_keys_along(
    connection: postgres.Connection, whole: redis.Redis, moving: Migration, mode: str
) -> None:
    warm(connection, whole, warming(1))
    left = [moving.whole]

    def progress(_: int) -> None:
        if left:
            left.pop()()

    before = moving.errors("MOVED")
    warmed = warm(connection, whole, warming(2, mode), progress=progress, pace=BATCHES_OF_100)
    assert (warmed.keys, warmed.failed) == (ROWS, 0)
    assert moving.errors("MOVED") > before
    assert versions(whole) == {2}


@pytest.mark.parametrize(
    "stale", [Stale(patterns=(b"item:{hot}*",)), Stale(tags=("items",)), Stale(keys=(b"item:{hot}2", b"item:{hot}600"))]
)
def test_what_is_stale_goes_from_both_ends_of_a_migration(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis, moving: Migration, stale: Stale
) -> None:
    warm(connection, whole, warming(1))
    moving.begin()
    moving.move(MOVED)
    before = moving.errors("ASK")
    with opened_nodes(redis_cluster.url) as nodes:
        rows = Invalidation(nodes, Caps(share=1.0)).run(stale)
    assert not [row.error for row in rows if row.error]
    assert moving.errors("ASK") > before
    gone = sum(row.keys for row in rows)
    assert gone == (len(stale.keys) or (ROWS if stale.tags else ROWS // 2))
    moving.finish()
    if not stale.keys:
        assert not [number for number in range(2, ROWS + 1, 2) if whole.exists(f"item:{{hot}}{number}")]
    else:
        assert not whole.exists(*map(bytes.decode, stale.keys))


@pytest.mark.parametrize("after", ["the first node", "all nodes"])
def test_keys_that_move_behind_the_search_are_found(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis, after: str
) -> None:
    """From a node that is still to be looked through to the one that has been; and between search and removal."""
    warm(connection, whole, warming(1))
    with opened_nodes(redis_cluster.url) as nodes:
        order = [int(node.connection_pool.connection_kwargs["port"]) for node in nodes.primaries()]
        first, last = (redis_cluster.ports.index(port) for port in (order[0], order[-1]))
        tag = next(b"%d" % number for number in range(1000) if min(slot(b"%d" % number) // (16384 // 3), 2) == last)
        names = [b"moving:{%b}%d" % (tag, number) for number in range(50)]
        for name in names:
            whole.set(name, b"1")
        with migration(redis_cluster, slot(tag), first) as moving:
            looked = [0]

            def move(text: str, fraction: float | None = None) -> None:
                looked[0] += "match" in text
                if looked[0] == (1 if after == "the first node" else len(order)):
                    looked[0] += 1000
                    moving.whole()

            (row,) = Invalidation(nodes, Caps(share=1.0), progress=move).run(Stale(patterns=(b"moving:*",)))
            assert looked[0] > 1000
            assert (row.keys, row.error) == (len(names), None)
            assert not whole.exists(*map(bytes.decode, names))
