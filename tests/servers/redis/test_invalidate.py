"""Removing what is stale from real servers, and what that leaves for warm-ups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from patience import until
from topologies import Cluster, Secured, Sentinel, plain_server

from dbtune.cache.generations import GENERATION_KEY, GENERATION_LOG, tombstone_key
from dbtune.cache.rules import Stale
from dbtune.cache.slots import slot
from dbtune.cache.tags import tag_key
from dbtune.core.errors import Refused, Unreachable, Unsupported
from dbtune.core.invalidation import Removal
from dbtune.servers.redis.invalidate import Caps, Invalidation, TooMany
from dbtune.servers.redis.nodes import opened_nodes

ODD = [b"*", b"?", b"[x]", b"\\", b"{42}", b"}{", b"line\nbreak\r\n", b"\xff\x00", b"", b" ", b"a:b"]


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cache_url) as client:
        yield client


def invalidated(
    url: str, *, caps: Caps | None = None, dry_run: bool = False, **stale: tuple[object, ...]
) -> list[Removal]:
    with opened_nodes(url) as nodes:
        return [*Invalidation(nodes, caps, dry_run=dry_run).run(Stale(**stale))]  # type: ignore[arg-type]


def file_under(client: redis.Redis, tag: str, *keys: bytes, lives_s: float = 3600) -> None:
    """As a warm-up does: filed first, then written."""
    expiry_ms = int((time.time() + lives_s) * 1000)
    client.zadd(tag_key(tag), dict.fromkeys(keys, expiry_ms))
    if lives_s > 0:
        for key in keys:
            client.set(key, b"value", pxat=expiry_ms)


def test_a_key_goes_behind_its_tombstone_and_one_that_had_gone_is_counted_as_skipped(
    cache_url: str, client: redis.Redis
) -> None:
    client.set("a", "x" * 1000)
    there, missing = invalidated(cache_url, keys=(b"a", b"b"))
    assert (there.name, there.keys, there.skipped, there.failed) == ("key a", 1, 0, 0)
    assert there.size_bytes >= 1000
    assert (missing.keys, missing.skipped) == (0, 1)
    assert client.exists("a") == 0
    for key in (b"a", b"b"):
        assert abs(int(client.get(tombstone_key(key)) or 0) / 1000 - client.time()[0]) < 60
        assert client.pttl(tombstone_key(key)) > 0


@pytest.mark.parametrize("odd", ODD)
def test_a_key_of_any_bytes_goes_and_its_neighbour_stays(odd: bytes, cache_url: str, client: redis.Redis) -> None:
    client.mset({b"k:" + odd: b"1", b"k:neighbour": b"1"})
    (row,) = invalidated(cache_url, keys=(b"k:" + odd,))
    assert row.keys == 1
    assert client.exists(b"k:neighbour") == 1


def test_a_tag_takes_its_members_along_and_prunes_those_whose_key_expired(cache_url: str, client: redis.Redis) -> None:
    file_under(client, "contents", *(b"c:%d" % number for number in range(2500)))
    file_under(client, "contents", b"dead:1", b"dead:2", lives_s=-5)
    client.set("stranger", 1)
    (row,) = invalidated(cache_url, tags=("contents",))
    assert (row.name, row.keys, row.skipped, row.failed) == ("tag contents", 2500, 2, 0)
    assert client.exists(tag_key("contents")) == 0
    assert client.exists("stranger") == 1


def test_a_tag_or_a_pattern_raises_the_generation_that_warm_ups_compare(cache_url: str, client: redis.Redis) -> None:
    invalidated(cache_url, tags=("contents",), patterns=(b"rec:user:*",))
    first = int(client.get(GENERATION_KEY) or 0)
    assert set(client.zrange(GENERATION_LOG, 0, -1)) == {b"tag:contents", b"pattern:rec:user:*"}
    invalidated(cache_url, patterns=(b"rec:user:*",))
    assert int(client.get(GENERATION_KEY) or 0) > first > 0


def test_a_member_that_is_filed_anew_while_its_tag_is_invalidated_stays_a_member(
    cache_url: str, client: redis.Redis
) -> None:
    from dbtune.servers.redis.invalidate import FORGET_MEMBERS

    file_under(client, "t", b"a", b"b")
    score = b"%d" % int(client.zscore(tag_key("t"), b"a") or 0)
    read = [b"a", score, b"b", score]
    file_under(client, "t", b"a", lives_s=7200)
    assert client.eval(FORGET_MEMBERS, 1, tag_key("t"), *read) == 1
    assert client.zrange(tag_key("t"), 0, -1) == [b"a"]


def test_a_pattern_takes_what_matches_and_never_dbtunes_own_keys(cache_url: str, client: redis.Redis) -> None:
    client.mset({b"d:%d" % number: b"1" for number in range(3000)} | {b"e:1": b"1", b"dbtune:warm:x": b"1"})
    (row,) = invalidated(cache_url, patterns=(b"d*",), caps=Caps(share=1.0))
    assert (row.keys, row.skipped) == (3000, 0)
    assert client.exists("e:1", "dbtune:warm:x") == 2


def test_a_dry_run_counts_and_samples_and_moves_nothing_not_even_the_hit_rate(
    cache_url: str, client: redis.Redis
) -> None:
    client.mset({b"p:%d" % number: b"x" * 100 for number in range(50)})
    file_under(client, "t", b"k:1", b"k:2")
    file_under(client, "t", b"dead", lives_s=-5)
    before, stats = client.dbsize(), client.info("stats")
    key, missing, pattern = invalidated(cache_url, dry_run=True, keys=(b"p:1", b"no"), patterns=(b"p:*",))
    after = client.info("stats")
    (tag,) = invalidated(cache_url, dry_run=True, tags=("t",))
    assert (key.keys, missing.keys, missing.skipped) == (1, 0, 1)
    assert (tag.keys, tag.skipped, pattern.keys) == (2, 1, 50)
    assert pattern.size_bytes >= 50 * 100
    assert pattern.sample[0].startswith("p:")
    assert client.dbsize() == before
    assert client.exists(GENERATION_KEY, tombstone_key(b"p:1")) == 0
    assert [after[name] - stats[name] for name in ("keyspace_hits", "keyspace_misses")] == [0, 0]


def test_a_dry_run_of_a_tag_counts_what_is_there_whoever_removed_the_rest(cache_url: str, client: redis.Redis) -> None:
    keys = [b"k:%d" % number for number in range(1500)]
    file_under(client, "t", *keys)
    client.unlink(*keys[200:])
    (row,) = invalidated(cache_url, dry_run=True, tags=("t",))
    assert (row.keys, row.skipped) == (200, 1300)
    assert set(row.sample) <= {key.decode() for key in keys[:200]}
    assert row.size_bytes == sum(client.memory_usage(key) or 0 for key in keys[:200])


def test_a_dry_run_without_the_right_to_weigh_still_counts(cache_url: str, client: redis.Redis) -> None:
    file_under(client, "t", b"a", b"b")
    _do(client, "ACL", "SETUSER", "narrow", "reset", "on", ">pw", "~*", "+@all", "-memory")
    path = client.connection_pool.connection_kwargs.get("path")
    try:
        rows = invalidated(f"unix://narrow:pw@{path}?db=0", dry_run=True, keys=(b"a", b"no"), tags=("t",))
    finally:
        _do(client, "ACL", "DELUSER", "narrow")
    assert [(row.keys, row.skipped, row.size_bytes) for row in rows] == [(1, 0, 0), (0, 1, 0), (2, 0, 0)]


@pytest.mark.parametrize(
    ("caps", "why"), [(Caps(keys=99), "above the cap of 99"), (Caps(share=0.2), "20% of the keyspace")]
)
def test_more_than_a_cap_allows_is_refused_before_anything_goes(
    caps: Caps, why: str, cache_url: str, client: redis.Redis
) -> None:
    client.mset({b"p:%d" % number: b"1" for number in range(100)} | {b"q:%d" % number: b"1" for number in range(100)})
    for stale in ({"patterns": (b"p:*",)}, {"keys": tuple(b"p:%d" % number for number in range(100))}):
        with pytest.raises(TooMany, match=why):
            invalidated(cache_url, caps=caps, **stale)
    file_under(client, "t", *(b"p:%d" % number for number in range(100)))
    with pytest.raises(TooMany, match="nothing was removed"):
        invalidated(cache_url, caps=caps, tags=("t",))
    assert client.exists(*(f"p:{number}" for number in range(100))) == 100


def test_without_a_cap_of_its_own_a_pattern_may_match_half_of_a_large_keyspace_and_a_tag_anything(
    cache_url: str, client: redis.Redis
) -> None:
    client.mset({b"p:%d" % number: b"1" for number in range(10_001)})
    client.zadd(tag_key("t"), {b"p:%d" % number: time.time() * 1000 + 1e6 for number in range(10_001)})
    with pytest.raises(TooMany, match="50% of the keyspace"):
        invalidated(cache_url, patterns=(b"p:*",))
    (row,) = invalidated(cache_url, tags=("t",))
    assert row.keys == 10_001


def test_a_key_of_another_type_in_a_tags_place_fails_that_tag_and_no_other(cache_url: str, client: redis.Redis) -> None:
    client.set(tag_key("wrong"), "text")
    file_under(client, "right", b"a")
    wrong, right = invalidated(cache_url, tags=("wrong", "right"))
    assert wrong.failed == 1
    assert "WRONGTYPE" in (wrong.error or "")
    assert right.keys == 1


def test_a_full_server_loses_the_keys_and_gets_its_marks_once_there_is_room(
    client: redis.Redis, cache_url: str
) -> None:
    client.mset({b"p:%d" % number: b"x" * 10_000 for number in range(300)})
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 100_000)
    try:
        (row,) = invalidated(cache_url, keys=(b"p:0",))
        assert row.keys == 1
        # One key made too little room: what could not be left is said.
        assert "may bring older values back" in (row.error or "")
        (row,) = invalidated(cache_url, patterns=(b"p:*",))
        assert (row.keys, row.error) == (299, None)
        assert client.zrange(GENERATION_LOG, 0, -1) == [b"pattern:p:*"]
    finally:
        client.config_set("maxmemory", 0)


def test_a_user_who_may_not_write_our_marks_still_removes_and_is_told(cache_url: str, client: redis.Redis) -> None:
    client.mset({"rec:1": 1, "other:1": 1})
    _do(client, "ACL", "SETUSER", "narrow", "on", ">pw", "~rec:*", "+unlink", "+client", "+dbsize", "+memory")
    path = client.connection_pool.connection_kwargs.get("path")
    try:
        mine, other = invalidated(f"unix://narrow:pw@{path}?db=0", keys=(b"rec:1", b"other:1"))
    finally:
        _do(client, "ACL", "DELUSER", "narrow")
    assert (mine.keys, other.failed) == (1, 1)
    assert "~dbtune:*" in (mine.hint or "")
    assert "ACL" in (other.hint or "")
    assert client.exists("other:1") == 1


def test_a_user_who_may_nothing_is_refused(cache_url: str, client: redis.Redis) -> None:
    _do(client, "ACL", "SETUSER", "nobody", "on", ">pw", "+ping", "+client")
    path = client.connection_pool.connection_kwargs.get("path")
    try:
        with pytest.raises(Refused, match="counting the keys"):
            invalidated(f"unix://nobody:pw@{path}?db=0", keys=(b"a",))
    finally:
        _do(client, "ACL", "DELUSER", "nobody")


def test_a_replica_is_refused(redis_sentinel: Sentinel) -> None:
    with pytest.raises(Unsupported, match=r"replica|READONLY|read only"):
        invalidated(f"redis://127.0.0.1:{redis_sentinel.replica}/0", keys=(b"a",))


def test_the_primary_is_found_through_sentinel_also_after_it_failed_over(redis_sentinel: Sentinel) -> None:
    url = f"redis+sentinel://127.0.0.1:{redis_sentinel.port}/{redis_sentinel.service}/0"
    with redis.Redis(port=redis_sentinel.primary) as client:
        client.set("a", 1)
        (row,) = invalidated(url, keys=(b"a",))
        assert row.keys == 1
        client.set("b", 1)
    until(lambda: replicated(redis_sentinel.replica, "b"), "the replica has it")
    redis_sentinel.fail_over()
    (row,) = invalidated(url, keys=(b"b",))
    assert row.keys == 1
    assert not replicated(redis_sentinel.replica, "b")


def replicated(port: int, key: str) -> bool:
    with redis.Redis(port=port) as client:
        return bool(client.exists(key))


def test_behind_tls(redis_secured: Secured) -> None:
    with redis.Redis.from_url(redis_secured.url) as client:
        client.mset({"tls:1": 1, "tls:2": 2})
        (row,) = invalidated(redis_secured.url, patterns=(b"tls:*",))
        assert row.keys == 2
        assert client.dbsize() == 2, "the generation and its log"


def test_a_connection_that_is_dropped_between_two_chunks_is_made_anew() -> None:
    with plain_server() as (_, port), redis.Redis(port=port) as client:
        client.mset({b"p:%d" % number: b"1" for number in range(5000)})

        def cut_off(text: str, fraction: float | None = None) -> None:
            client.client_kill_filter(_type="normal", skipme=True)

        with opened_nodes(f"redis://127.0.0.1:{port}/0") as nodes:
            (row,) = Invalidation(nodes, Caps(share=1.0), progress=cut_off).run(Stale(patterns=(b"p:*",)))
        assert row.keys == 5000


def test_a_server_that_goes_away_in_between_is_said() -> None:
    with plain_server() as (_, port), redis.Redis(port=port) as client:
        client.mset({b"p:%d" % number: b"1" for number in range(5000)})

        def shut_down(text: str, fraction: float | None = None) -> None:
            if "are gone" in text:
                client.shutdown(nosave=True)

        with opened_nodes(f"redis://127.0.0.1:{port}/0") as nodes, pytest.raises(Unreachable):
            Invalidation(nodes, Caps(share=1.0), progress=shut_down).run(Stale(patterns=(b"p:*",)))


class TestInACluster:
    def test_keys_tags_and_patterns_go_on_every_node(self, redis_cluster: Cluster) -> None:
        with redis.RedisCluster.from_url(redis_cluster.url) as client:
            for number in range(600):
                client.set(f"rec:{number}", "x" * 50)
            expiry_ms = int((time.time() + 3600) * 1000)
            members = {b"c:%d" % number: expiry_ms for number in range(1500)}
            client.zadd(tag_key("contents"), members)
            for member in members:
                client.set(member, b"1", pxat=expiry_ms)
            client.set("kept", 1)
            key, tag, pattern = invalidated(
                redis_cluster.url, keys=(b"rec:{7}",), tags=("contents",), patterns=(b"rec:*",), caps=Caps(share=1.0)
            )
            assert (key.skipped, tag.keys, pattern.keys) == (1, 1500, 600)
            assert client.exists("kept") == 1
            assert client.exists(tag_key("contents")) == 0
            # No script sees the generation from another slot: every key has its tombstone beside it.
            assert client.exists(tombstone_key(b"c:7")) == 1
            assert client.exists(tombstone_key(b"rec:7")) == 1
            assert client.zrange(GENERATION_LOG, 0, -1)

    def test_a_cluster_is_named_by_its_own_kind_of_url(self, redis_cluster: Cluster) -> None:
        with redis.RedisCluster.from_url(redis_cluster.url) as client:
            client.mset_nonatomic({f"u:{number}": 1 for number in range(20)})
            (row,) = invalidated(redis_cluster.url.replace("redis://", "redis+cluster://"), patterns=(b"u:*",))
            assert row.keys == 20

    def test_a_slot_that_moved_since_is_followed(self, redis_cluster: Cluster) -> None:
        with opened_nodes(redis_cluster.url) as nodes, redis.RedisCluster.from_url(redis_cluster.url) as client:
            invalidation = Invalidation(nodes)
            old = client.get_node_from_key("moving")
            new = next(node for node in client.get_primaries() if node.name != (old.name if old else ""))
            _move(client, old, new)
            try:
                client.get_redis_connection(new).set("moving", 1)
                (row,) = invalidation.run(Stale(keys=(b"moving",)))
                assert (row.keys, row.error) == (1, None)
            finally:
                client.get_redis_connection(new).flushall()
                _move(client, new, old)

    def test_a_slot_that_is_being_moved_is_asked_for(self, redis_cluster: Cluster) -> None:
        with opened_nodes(redis_cluster.url) as nodes, redis.RedisCluster.from_url(redis_cluster.url) as client:
            number = slot(b"moving")
            old = client.get_node_from_key("moving")
            assert old is not None
            new = next(node for node in client.get_primaries() if node.name != old.name)
            from_, to = client.get_redis_connection(old), client.get_redis_connection(new)
            ids = [client.cluster_myid(node) for node in (old, new)]
            try:
                to.execute_command("CLUSTER", "SETSLOT", number, "IMPORTING", ids[0])
                from_.execute_command("CLUSTER", "SETSLOT", number, "MIGRATING", ids[1])
                with redis.Redis(port=new.port, single_connection_client=True) as direct:
                    direct.execute_command("ASKING")
                    direct.execute_command("SET", "moving", 1)
                (row,) = Invalidation(nodes).run(Stale(keys=(b"moving",)))
                assert (row.keys, row.error) == (1, None)
            finally:
                for node in (from_, to):
                    node.execute_command("CLUSTER", "SETSLOT", number, "STABLE")
                to.flushall()


def _move(client: Any, old: Any, new: Any) -> None:
    """As a resharding does: who imports a slot takes a later epoch, which the others believe."""
    number, ids = slot(b"moving"), [client.cluster_myid(node) for node in (old, new)]
    target = client.get_redis_connection(new)
    target.execute_command("CLUSTER", "SETSLOT", number, "IMPORTING", ids[0])
    target.execute_command("CLUSTER", "SETSLOT", number, "NODE", ids[1])
    for node in client.get_primaries():
        client.get_redis_connection(node).execute_command("CLUSTER", "SETSLOT", number, "NODE", ids[1])


def _do(client: Any, *words: object) -> None:
    client.execute_command(*words)
