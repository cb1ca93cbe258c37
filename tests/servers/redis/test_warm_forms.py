"""What an application's own client finds at the keys: every type, every encoding, on a real server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, cast

import msgpack  # type: ignore[import-untyped]
import psycopg
import pytest
import redis

from dbtune.core.actions import WarmKeys
from dbtune.core.errors import ChangeFailed
from dbtune.core.warming import WarmStopped
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import packing, session
from dbtune.servers.redis.warm import warm

MARKER = "dbtune:warm:forms"


@pytest.fixture
def connection(database: str) -> Iterator[postgres.Connection]:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table users (id int primary key, name text, score float8, tags text[], raw bytea)")
        owner.execute("create table interests (user_id int, topic text, weight int)")
        owner.execute(
            "insert into users values (1, 'Ann', 1.5, '{red,\"b, c\"}', '\\x00ff0d0a'), (2, null, 2, '{}', null)"
        )
        owner.execute("insert into interests values (1, 'sql', 2), (1, 'redis', 9), (2, 'sql', 1)")
    with postgres.connect(database) as connection:
        yield connection


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with session.connect(cache_url) as client:
        yield client


def warming(query: str, **changes: Any) -> WarmKeys:
    given: dict[str, Any] = {
        "query": query,
        "key": "u:{id}",
        "ttl_s": 3600.0,
        "jitter": 0.0,
        "tags": (),
        "marker": MARKER,
        "fingerprint": "f",
        "fresh_for_s": 1800.0,
    }
    return WarmKeys(**{**given, **changes})


def ttl_s(client: redis.Redis, key: str) -> float:
    return client.pttl(key) / 1000


def test_a_hash_holds_the_columns_and_leaves_nulls_out(connection: postgres.Connection, client: redis.Redis) -> None:
    client.set("u:1", "of another type")
    warmed = warm(connection, client, warming("select id, name, score, raw from users", form="hash"))
    assert (warmed.keys, warmed.failed) == (2, 0)
    assert client.hgetall("u:1") == {b"id": b"1", b"name": b"Ann", b"score": b"1.5", b"raw": b"\x00\xff\r\n"}
    assert client.hgetall("u:2") == {b"id": b"2", b"score": b"2"}
    assert 3590 < ttl_s(client, "u:1") <= 3600


def test_rows_of_one_key_are_the_members_of_one_collection(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    query = "select user_id as id, topic, weight from interests order by weight desc"
    for form in ("set", "list", "zset"):
        score = "weight" if form == "zset" else None
        warmed = warm(connection, client, warming(query, key=form + ":{id}", form=form, value="topic", score=score))
        assert warmed.keys == 2
    assert client.smembers("set:1") == {b"sql", b"redis"}
    assert client.lrange("list:1", 0, -1) == [b"redis", b"sql"]
    assert client.zrange("zset:1", 0, -1, withscores=True) == [(b"sql", 2.0), (b"redis", 9.0)]


def test_an_array_is_a_collection_of_its_own_and_an_empty_one_is_skipped(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    warmed = warm(connection, client, warming("select id, tags from users", form="list", value="tags"))
    assert (warmed.keys, warmed.skipped) == (1, 1)
    assert client.lrange("u:1", 0, -1) == [b"red", b"b, c"]


def test_a_collection_is_replaced_whole_and_one_of_many_members_is_written(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    client.sadd("u:7", "left from before")
    warm(
        connection,
        client,
        warming("select 7 as id, n::text as n from generate_series(1, 25000) n", form="set", value="n"),
    )
    assert client.scard("u:7") == 25_000
    assert not client.sismember("u:7", "left from before")


def test_nested_queries_become_json_arrays_of_rows_or_of_single_values(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    nested = (
        ("interests", "select topic, weight from interests where user_id = parent.id order by weight desc"),
        ("topics", "select topic from interests where user_id = parent.id order by topic -- the names alone"),
        ("none", "select topic from interests where user_id = -parent.id"),
    )
    warm(connection, client, warming("select id from users where id = 1", nested=nested))
    assert json.loads(cast("bytes", client.get("u:1"))) == {
        "id": 1,
        "interests": [{"topic": "redis", "weight": 9}, {"topic": "sql", "weight": 2}],
        "topics": ["redis", "sql"],
        "none": [],
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_msgpack_and_gzip_are_read_by_the_applications_own_libraries(
    connection: postgres.Connection, client: redis.Redis, *, compressed: bool
) -> None:
    query = "select id, name, tags from users where id = 1"
    warm(connection, client, warming(query, encoding="msgpack", gzip=compressed))
    stored = cast("bytes", client.get("u:1"))
    found = msgpack.unpackb(gzip.decompress(stored) if compressed else stored)
    assert found == {"id": 1, "name": "Ann", "tags": ["red", "b, c"]}


def test_a_column_as_json_and_as_it_is_compressed(connection: postgres.Connection, client: redis.Redis) -> None:
    warm(connection, client, warming("select id, tags from users where id = 1", value="tags", encoding="json"))
    assert client.get("u:1") == b'["red","b, c"]'
    warm(connection, client, warming("select id, name from users where id = 1", value="name", gzip=True))
    assert gzip.decompress(cast("bytes", client.get("u:1"))) == b"Ann"


def test_rows_may_have_ttls_of_their_own_and_one_of_zero_is_skipped(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    query = "select * from (values (1, 60), (2, null), (3, 0), (4, -5)) as v (id, s)"
    warmed = warm(connection, client, warming(query, ttl_column="s"))
    assert (warmed.keys, warmed.skipped, warmed.expired) == (2, 2, 2)
    assert "a ttl of zero or less" in warmed.notes[0]
    assert ttl_s(client, "u:1") <= 60 < ttl_s(client, "u:2") <= 3600
    assert not client.exists("u:3", "u:4")
    warm(connection, client, warming("select 5 as id, interval '2 minutes' as s", ttl_column="s"))
    assert 100 < ttl_s(client, "u:5") <= 120


def test_a_value_that_no_server_takes_fails_alone_and_is_said(
    connection: postgres.Connection, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LARGEST_VALUE", 1000)
    query = "select id, repeat('x', id) as body from (values (1), (5000), (2)) as v (id)"
    with pytest.raises(WarmStopped, match="larger than") as caught:
        warm(connection, client, warming(query))
    assert (caught.value.warmed.keys, caught.value.warmed.failed) == (2, 1)
    assert client.exists("u:1", "u:2") == 2
    assert not client.exists(MARKER)


def test_a_score_that_is_no_number_is_told_before_anything_is_written(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    with pytest.raises(ChangeFailed, match="double precision"):
        warm(connection, client, warming("select id, name, name as s from users", form="zset", value="name", score="s"))
    assert not client.exists("u:1")


def test_duplicates_are_counted_where_nothing_proves_that_keys_differ(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    warmed = warm(
        connection, client, warming("select n % 5000 as id, n from generate_series(1, 12000) n", listed=False)
    )
    assert (warmed.keys, warmed.duplicates) == (5000, 7000)
    assert json.loads(cast("bytes", client.get("u:0"))) == {"id": 0, "n": 10000}
