"""Warming into the shapes that Redis has in production: a cluster, a Sentinel's primary, TLS, users with few rights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from topologies import Cluster, Secured, Sentinel

from dbtune.cache.generations import BURY, TOMBSTONE_MS, tombstone_key
from dbtune.cache.slots import SLOTS, hash_tag, slot
from dbtune.core.actions import ForgetKeys, WarmKeys
from dbtune.core.errors import Refused
from dbtune.core.warming import CacheAway, WarmStopped
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import session
from dbtune.servers.redis.warm import forget, warm

ROWS = 5000


@pytest.fixture
def connection(postgres_dsn: str) -> Iterator[postgres.Connection]:
    with postgres.connect(postgres_dsn) as connection:
        yield connection


def warming(query: str = f"select id from generate_series(1, {ROWS}) id", **changes: Any) -> WarmKeys:
    given: dict[str, Any] = {
        "query": query,
        "key": "item:{id}",
        "ttl_s": 3600.0,
        "jitter": 0.1,
        "tags": ("items",),
        "marker": "dbtune:warm:shapes",
        "fingerprint": "f",
        "fresh_for_s": 1800.0,
    }
    return WarmKeys(**{**given, **changes})


@pytest.fixture
def whole(redis_cluster: Cluster) -> Iterator[redis.Redis]:
    client = session.connect_whole(redis_cluster.url)
    yield client
    client.close()


def keys_of(cluster: Cluster, pattern: str) -> set[bytes]:
    found: set[bytes] = set()
    for url in cluster.urls:
        with redis.Redis.from_url(url) as node:
            found |= set(node.scan_iter(pattern, count=1000))
    return found


@pytest.mark.parametrize("mode", ["overwrite", "newer"])
def test_a_cluster_gets_every_key_where_it_belongs_and_gives_them_back(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis, mode: Any
) -> None:
    warmed = warm(connection, whole, warming(mode=mode), resumable=True)
    assert (warmed.keys, warmed.failed) == (ROWS, 0)
    assert len(keys_of(redis_cluster, "item:*")) == ROWS
    assert whole.zcard("dbtune:tag:items") == ROWS
    assert 0 < whole.ttl("item:77") <= 3960
    assert forget(whole, ForgetKeys("dbtune:warm:shapes", ("items",))) == ROWS
    assert keys_of(redis_cluster, "item:*") == set()


@pytest.mark.parametrize("key", ["item:{id}", "{{id}}"])
def test_in_a_cluster_what_is_invalidated_meanwhile_does_not_come_back(
    connection: postgres.Connection, whole: redis.Redis, key: str
) -> None:
    left = [True]

    def progress(_: int) -> None:
        if left.pop() if left else False:
            whole.eval(BURY, 2, "item:5000", tombstone_key(b"item:5000"), TOMBSTONE_MS)

    warmed = warm(connection, whole, warming(mode="newer"), progress=progress)
    assert (warmed.keys, warmed.kept) == (ROWS - 1, 1)
    assert not whole.exists("item:5000")


def test_slots_that_move_while_it_runs_are_followed(
    connection: postgres.Connection, redis_cluster: Cluster, whole: redis.Redis
) -> None:
    """A whole node's keys would be too many to move in a test: one slot, and the key that lies there."""
    number = slot(b"item:5000")
    nodes = [redis.Redis.from_url(url, decode_responses=True) for url in redis_cluster.urls]
    owner = min(number // (SLOTS // 3), 2)
    target = (owner + 1) % 3
    names = [str(node.execute_command("CLUSTER", "MYID")) for node in nodes]  # type: ignore[no-untyped-call]
    left = [True]

    def hand_over(giver: int, taker: int) -> None:
        """A slot that still has keys is not given away."""
        for key in nodes[giver].scan_iter("*", count=1000):
            if slot(key.encode()) == number:
                nodes[giver].delete(key)
        for node in (nodes[taker], nodes[giver], nodes[3 - giver - taker]):
            node.execute_command("CLUSTER", "SETSLOT", number, "NODE", names[taker])  # type: ignore[no-untyped-call]

    def move(_: int) -> None:
        if left:
            left.pop()
            hand_over(owner, target)

    try:
        warmed = warm(connection, whole, warming(), progress=move)
        assert (warmed.keys, warmed.failed) == (ROWS, 0)
        assert nodes[target].exists("item:5000")
    finally:
        hand_over(target, owner)
        for node in nodes:
            node.close()


def test_a_tombstone_lies_in_the_slot_of_its_key_whatever_the_key_is() -> None:
    for key in (b"item:1", b"{user}:1", b"a}b", b"{}x", b"a{b", b"", b"{a", b"x{y}z{w}", b"\x00\xff}"):
        assert slot(tombstone_key(key)) == slot(key)
    assert hash_tag(b"a{}b{c}") is None
    assert slot(b"123456789") == 12739


@pytest.mark.slow
def test_a_primary_that_a_sentinel_names_is_filled_and_after_a_failover_the_new_one(
    connection: postgres.Connection, redis_sentinel: Sentinel
) -> None:
    url = f"sentinel://127.0.0.1:{redis_sentinel.port}/{redis_sentinel.service}/0"
    with session.connect(url) as client:
        assert warm(connection, client, warming()).keys == ROWS
        sent = threading.Event()

        def fail_over(_: int) -> None:
            if not sent.is_set():
                sent.set()
                redis_sentinel.fail_over()
                with redis.Redis(port=redis_sentinel.primary) as old:
                    while old.info("replication")["role"] != "slave":
                        pass

        rows = "select id, repeat('x', 2000) from generate_series(1, 20000) id"
        with pytest.raises((WarmStopped, CacheAway)) as stopped:
            warm(connection, client, warming(rows), progress=fail_over, resumable=True)
        cause = stopped.value.cause if isinstance(stopped.value, WarmStopped) else stopped.value
        assert isinstance(cause, CacheAway)
        session.forget_connections(client)
        warmed = warm(connection, client, warming(rows), resumable=True)
        assert warmed.keys + warmed.resumed == 20_000
    with redis.Redis(port=redis_sentinel.replica) as new:
        assert new.exists("item:1", "item:20000") == 2


def test_tls_with_a_certificate_of_ones_own(connection: postgres.Connection, redis_secured: Secured) -> None:
    with session.connect(redis_secured.url) as client:
        assert warm(connection, client, warming()).keys == ROWS
        assert client.exists("item:1", "item:5000") == 2


def test_a_user_with_few_rights_is_enough_and_one_with_fewer_is_told(
    connection: postgres.Connection, cache_url: str
) -> None:
    rights = ["+@read", "+@write", "+@connection", "+info", "+time"]
    with session.connect(cache_url) as owner:
        owner.acl_setuser("warmer", enabled=True, nopass=True, commands=rights, keys=["item:*", "dbtune:*"])
        owner.acl_setuser("other", enabled=True, nopass=True, commands=rights, keys=["user:*", "dbtune:*"])
    separator = "unix://" if cache_url.startswith("unix://") else "redis://"
    with session.connect(cache_url.replace(separator, f"{separator}warmer:x@")) as client:
        assert warm(connection, client, warming()).keys == ROWS
    with (
        session.connect(cache_url.replace(separator, f"{separator}other:x@")) as client,
        pytest.raises((WarmStopped, Refused), match="permission"),
    ):
        warm(connection, client, warming())
    with session.connect(cache_url) as owner:
        owner.acl_deluser("warmer", "other")
