"""Warming from a real PostgreSQL into a real server, and taking it back."""

from __future__ import annotations

import json
import secrets
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest
import redis

from dbtune.core.actions import ForgetKeys, WarmKeys
from dbtune.core.errors import ChangeFailed, DbtuneError, Unsupported
from dbtune.core.warm_marker import WarmMarker
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import session
from dbtune.servers.redis.warm import WarmStopped, forget, warm

MARKER = "dbtune:warm:test"
HOUR_MS = 3_600_000

# What an id may hold: separators, glob characters, the template's own braces, formatting, lines, other scripts.
ODD = ["a:b", "*", "?", "[x]", "\\", "{id}", "}", "%b %s", "line\nbreak\r\n", "ключ", "🦀", "", " ", "'\"", "$1"]


@pytest.fixture
def connection(database: str) -> Iterator[postgres.Connection]:
    with postgres.connect(database) as connection:
        yield connection


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with session.connect(cache_url) as client:
        yield client


@pytest.fixture
def full_client(client: redis.Redis) -> Iterator[redis.Redis]:
    """A server with two megabytes left and nothing that it may evict."""
    while int(client.info("memory")["lazyfree_pending_objects"]):
        time.sleep(0.01)  # what other tests left is freed in the background, and would make room
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", used + (2 << 20))
    yield client
    client.config_set("maxmemory", 0)


def warming(query: str, **changes: Any) -> WarmKeys:
    given: dict[str, Any] = {
        "query": query,
        "key": "rec:{id}",
        "ttl_s": 3600.0,
        "jitter": 0.1,
        "tags": (),
        "marker": MARKER,
        "fingerprint": "f",
        "fresh_for_s": 1800.0,
    }
    return WarmKeys(**{**given, **changes})


def value_of(client: redis.Redis, key: str) -> bytes:
    value = client.get(key)
    assert isinstance(value, bytes)
    return value


def expiry_ms(client: redis.Redis, key: str | bytes) -> int:
    return int(client.pexpiretime(cast("str", key)))


def marker_left(client: redis.Redis) -> WarmMarker:
    marker = WarmMarker.load(value_of(client, MARKER).decode())
    assert marker is not None
    return marker


def written(client: redis.Redis, pattern: str = "rec:*") -> dict[bytes, bytes]:
    keys: list[bytes] = sorted(client.scan_iter(match=pattern, count=1000))
    values = cast("list[bytes]", client.mget(keys) if keys else [])
    return dict(zip(keys, values, strict=True))


def test_a_row_becomes_the_json_that_an_application_would_have_written(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    warmed = warm(
        connection,
        client,
        warming(
            "select 7 as id, 'Ünï\"code\n' as title, 1.50::numeric as score, 9007199254740993 as big, true as live,"
            " null::text as nothing, '{1,2}'::int[] as tags, '{\"a\": {\"b\": 1}}'::jsonb as meta,"
            " timestamptz '2026-01-02 03:04:05.678+00' as at, date '2026-01-02' as day"
        ),
    )
    assert (warmed.keys, warmed.skipped, warmed.failed, warmed.duplicates) == (1, 0, 0, 0)
    value = value_of(client, "rec:7")
    assert warmed.bytes == len(b"rec:7") + len(value)
    found = json.loads(value)
    assert {name: found[name] for name in found if name != "at"} == {
        "id": 7,
        "title": 'Ünï"code\n',
        "score": 1.5,
        "big": 9007199254740993,
        "live": True,
        "nothing": None,
        "tags": [1, 2],
        "meta": {"a": {"b": 1}},
        "day": "2026-01-02",
    }
    assert "1.50" in value.decode()
    assert found["at"].startswith("2026-01-0")
    assert "T" in found["at"]


def test_a_column_is_stored_as_it_is_and_bytea_keeps_its_bytes(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    warm(connection, client, warming(r"select '\x00ff0a'::bytea as id, '\x00fe'::bytea as body", value="body"))
    warm(connection, client, warming("select 1 as id, 'plain' as body", value="body"))
    assert written(client) == {b"rec:\x00\xff\n": b"\x00\xfe", b"rec:1": b"plain"}


def test_any_text_goes_into_a_key_as_it_is(connection: postgres.Connection, client: redis.Redis, database: str) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("create table odd (id text)")
        owner.cursor().executemany("insert into odd values (%s)", [(text,) for text in ODD])
    warmed = warm(connection, client, warming("select id from odd", key="rec:{id}:%d:{id}"))
    assert warmed.keys == len(ODD)
    assert set(written(client)) == {f"rec:{text}:%d:{text}".encode() for text in ODD}


def test_a_database_in_another_encoding_still_gives_utf8(postgres_dsn: str, client: redis.Redis) -> None:
    name = f"dbtune_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as owner:
        owner.execute(f"create database {name} template template0 encoding 'LATIN1' locale 'C'".encode())
        try:
            with postgres.connect(psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name)) as connection:
                warm(connection, client, warming("select chr(233) as id"))
        finally:
            owner.execute(f"drop database {name} with (force)".encode())
    assert written(client) == {"rec:é".encode(): '{"id":"é"}'.encode()}


def test_a_ttl_counts_from_the_snapshot_stays_in_its_bounds_spreads_and_is_the_same_for_a_key(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    def expiries_ms() -> dict[bytes, int]:
        warm(connection, client, warming("select id, pg_sleep(0.2 / 500) from generate_series(1, 500) as id"))
        snapshot_ms = round(marker_left(client).warmed_at.timestamp() * 1000)
        return {key: expiry_ms(client, key) - snapshot_ms for key in written(client)}

    first = expiries_ms()
    assert all(0.9 * HOUR_MS <= ttl_ms <= 1.1 * HOUR_MS for ttl_ms in first.values())
    assert max(first.values()) - min(first.values()) > 0.15 * HOUR_MS
    assert expiries_ms() == first


def test_without_jitter_all_keys_expire_at_once(connection: postgres.Connection, client: redis.Redis) -> None:
    warm(connection, client, warming("select generate_series(1, 50) as id", jitter=0.0))
    assert len({expiry_ms(client, key) for key in written(client)}) == 1


@pytest.mark.parametrize("end", ["", ";", " ; ;\n", " -- the best", "; -- the best\n", " /* ; */"])
def test_what_a_query_ends_with_does_not_matter(connection: postgres.Connection, client: redis.Redis, end: str) -> None:
    assert warm(connection, client, warming("select 1 as id" + end)).keys == 1


@pytest.mark.parametrize(
    "query",
    [
        "with x as (select 1 as id) select * from x order by id limit 5",
        "select column1 as id from (values (1)) as v",
        "(select 1 as id) union all (select 1) limit 1",
        "select id from generate_series(1, 1) as id where '{}' = '{}' and 5 % 2 = 1 and '%s' <> '%(a)s'",
    ],
)
def test_every_form_of_a_reading_query_is_warmed_from(
    connection: postgres.Connection, client: redis.Redis, query: str
) -> None:
    assert warm(connection, client, warming(query)).keys == 1


def test_columns_may_be_called_as_our_own_statement_calls_its_parts(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    names = "x, q, n, p, parent"
    query = f"select {names} from (values (1, 2, 3, 4, 5)) as v ({names})"
    nested = (("inner", f"select {names} from (values (parent.x, 2, 3, 4, 5)) as w ({names})"),)
    warm(connection, client, warming(query, key="rec:{x}", nested=nested))
    row = {"x": 1, "q": 2, "n": 3, "p": 4, "parent": 5}
    assert json.loads(value_of(client, "rec:1")) == {**row, "inner": [row]}
    warm(connection, client, warming(query, key="rec:{x}"))
    assert json.loads(value_of(client, "rec:1")) == row


def test_rows_with_null_in_the_key_or_the_value_are_skipped_and_counted(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    query = "select * from (values (1, 'a'), (null, 'b'), (3, null)) as v (id, body)"
    warmed = warm(connection, client, warming(query, value="body"))
    assert (warmed.keys, warmed.skipped) == (1, 2)
    assert warmed.notes == ("2 rows were skipped: NULL in the key or in the value",)
    assert written(client) == {b"rec:1": b"a"}


def test_of_duplicate_keys_near_and_far_apart_the_last_wins_and_all_are_counted(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    query = "select n % 3000 as id, n from generate_series(0, 8999) as n union all select 5, 9000"
    action = warming(query, value="n")
    for _ in range(2):
        warmed = warm(connection, client, action)
        assert (warmed.keys, warmed.duplicates) == (3000, 6001)
    assert written(client)[b"rec:5"] == b"9000"
    assert written(client)[b"rec:2999"] == b"8999"
    assert client.zcard(f"{MARKER}:keys") == 3000


def test_a_query_without_rows_warms_nothing_and_says_so(connection: postgres.Connection, client: redis.Redis) -> None:
    warmed = warm(connection, client, warming("select 1 as id where false"))
    assert (warmed.keys, warmed.notes) == (0, ("the query returned no rows",))
    assert marker_left(client).keys == 0


def test_a_key_without_columns_holds_one_row_and_refuses_two_before_anything_is_written(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    assert warm(connection, client, warming("select 1 as n", key="rec:all")).keys == 1
    assert written(client) == {b"rec:all": b'{"n":1}'}
    client.flushdb()
    with pytest.raises(ChangeFailed, match="more than one row"):
        warm(connection, client, warming("select repeat('x', 300000) from generate_series(1, 2)", key="rec:all"))
    assert list(client.scan_iter()) == []


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"key": "rec:{content_idd}"}, "no column 'content_idd'; it has content_id, title", "'content_id'"),
        ({"key": "rec:{TITLE}"}, "no column 'TITLE'", "'title'"),
        ({"value": "zzz"}, "no column 'zzz'", "rename it"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest_one_before_anything_is_written(
    connection: postgres.Connection, client: redis.Redis, changes: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(ChangeFailed, match=message) as caught:
        warm(connection, client, warming("select 1 as content_id, 'a' as title", **{"key": "{title}", **changes}))
    assert hint in str(caught.value.hint)
    assert list(client.scan_iter()) == []


@pytest.mark.parametrize(
    "query",
    [
        "delete from t",
        "with d as (delete from t returning id) select id from d",
        "select nextval('t_id_seq') as id",
        "select id from t for update",
        "select 1 as id) as q; commit; drop table t; select (1",
        "select set_config('transaction_read_only', 'off', true) as id",
    ],
)
def test_a_query_that_would_write_is_refused_and_nothing_changes(
    client: redis.Redis, database: str, query: str
) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("create table t (id serial)")
        owner.execute("insert into t default values")
    with postgres.connect(database, read_only=False) as connection, pytest.raises(DbtuneError):
        warm(connection, client, warming(query))
    with psycopg.connect(database) as owner:
        assert owner.execute("select id, nextval('t_id_seq') from t").fetchall() == [(1, 2)]
    assert list(client.scan_iter()) == []


def test_fifty_thousand_rows_are_streamed_in_little_memory_and_progress_is_told(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    told: list[int] = []
    query = "select id, repeat(md5(id::text), 20) as body from generate_series(1, 50000) as id"
    tracemalloc.start()
    try:
        warmed = warm(connection, client, warming(query), progress=told.append)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert warmed.keys == client.zcard(f"{MARKER}:keys") == told[-1] == 50_000
    assert warmed.bytes > 30 << 20
    assert peak_bytes < 20 << 20
    assert told == sorted(told)
    assert len(told) >= 10


def test_a_full_server_stops_the_run_with_a_true_ledger_and_no_marker(
    connection: postgres.Connection, full_client: redis.Redis
) -> None:
    with pytest.raises(WarmStopped, match="maxmemory") as caught:
        warm(connection, full_client, warming("select id, repeat('x', 500) from generate_series(1, 50000) as id"))
    warmed = caught.value.warmed
    assert 0 < warmed.keys == len(written(full_client)) < 50_000
    assert warmed.failed > 0
    assert f"{warmed.keys:,} keys were written" in caught.value.message
    assert full_client.get(MARKER) is None
    assert forget(full_client, ForgetKeys(MARKER)) == warmed.keys
    assert list(full_client.scan_iter()) == []


def test_a_replica_is_refused_before_anything_is_written(connection: postgres.Connection, client: redis.Redis) -> None:
    client.config_set("replica-serve-stale-data", "yes")
    client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(Unsupported, match="read only"):
            warm(connection, client, warming("select 1 as id"))
    finally:
        client.replicaof("NO", "ONE")


def test_postgres_lost_in_mid_stream_is_told_with_the_number_of_keys_and_the_next_run_finishes(
    connection: postgres.Connection, client: redis.Redis, database: str, postgres_dsn: str
) -> None:
    action = warming("select id, repeat('x', 1000) as body from generate_series(1, 20000) as id")
    pid = connection.info.backend_pid

    def end_the_session(done_keys: int) -> None:
        if done_keys > 5000:
            with psycopg.connect(postgres_dsn, autocommit=True) as owner:
                owner.execute("select pg_terminate_backend(%s)", (pid,))
                while owner.execute("select 1 from pg_stat_activity where pid = %s", (pid,)).fetchone():
                    time.sleep(0.01)

    with pytest.raises(WarmStopped, match="keys were written") as caught:
        warm(connection, client, action, progress=end_the_session)
    assert caught.value.warmed.keys == len(written(client))
    assert client.get(MARKER) is None
    with postgres.connect(database) as again:
        assert warm(again, client, action).keys == 20_000
    assert client.get(MARKER) is not None


def test_redis_lost_in_mid_stream_is_told_with_a_count_that_is_never_too_high(
    connection: postgres.Connection, client: redis.Redis, cache_url: str
) -> None:
    def end_the_connections(done_keys: int) -> None:
        if done_keys > 5000:
            with redis.Redis.from_url(cache_url) as other:
                other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    with pytest.raises(WarmStopped, match="connection was lost") as caught:
        warm(connection, client, warming("select generate_series(1, 50000) as id"), progress=end_the_connections)
    assert 5000 < caught.value.warmed.keys <= len(written(client)) < 50_000
    assert client.get(MARKER) is None


def test_a_run_that_outlasts_the_ttl_stops(connection: postgres.Connection, client: redis.Redis) -> None:
    with pytest.raises(ChangeFailed, match="longer than its keys live"):
        warm(connection, client, warming("select 1 as id, pg_sleep(0.3)", ttl_s=0.2))
    assert client.get(MARKER) is None


def test_a_value_of_another_type_at_the_key_is_replaced(connection: postgres.Connection, client: redis.Redis) -> None:
    client.rpush("rec:1", "old")
    warm(connection, client, warming("select 1 as id"))
    assert written(client) == {b"rec:1": b'{"id":1}'}


def test_forgetting_removes_what_was_written_by_every_run_and_nothing_else(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    others = {b"rec:other": b"1", b"recent": b"2", b"dbtune:warm:test2": b"3"}
    client.mset(others)
    action = warming("select generate_series(1, 2500) as id", tags=("contents", "all"))
    warm(connection, client, action)
    warm(connection, client, warming("select generate_series(2001, 3000) as id", tags=("contents", "all")))
    client.zadd("dbtune:tag:all", {"rec:other": 9e12})
    client.delete("rec:17")
    assert client.zcard("dbtune:tag:contents") == 3000
    assert forget(client, ForgetKeys(MARKER, ("contents", "all"))) == 2999
    assert set(client.scan_iter()) == {*others, b"dbtune:tag:all"}
    assert client.zrange("dbtune:tag:all", 0, -1) == [b"rec:other"]
    assert forget(client, ForgetKeys(MARKER, ("contents", "all"))) == 0


def test_the_lists_of_keys_drop_members_that_expired_and_expire_with_the_last_key(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    expired = {f"rec:old{n}": n for n in range(2500)}
    client.zadd("dbtune:tag:contents", expired)
    client.zadd(f"{MARKER}:keys", expired)
    warm(connection, client, warming("select 1 as id", tags=("contents",)))
    for index in ("dbtune:tag:contents", f"{MARKER}:keys"):
        assert client.zrange(index, 0, -1) == [b"rec:1"]
        assert expiry_ms(client, index) >= expiry_ms(client, "rec:1")
    warm(connection, client, warming("select 2 as id", tags=("contents",), ttl_s=60))
    assert client.ttl("dbtune:tag:contents") > 3000


def test_the_marker_is_absent_while_a_run_is_under_way(connection: postgres.Connection, client: redis.Redis) -> None:
    seen: list[object] = []
    action = warming("select generate_series(1, 3000) as id")
    warm(connection, client, action)
    assert 0 < client.ttl(MARKER) <= 1800
    warm(connection, client, action, progress=lambda _: seen.append(client.get(MARKER)))
    assert seen == [None] * len(seen)
    assert client.get(MARKER) is not None


def test_rows_come_from_one_snapshot_although_others_write_meanwhile(
    connection: postgres.Connection, client: redis.Redis, database: str
) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("create table t as select id, 0 as version from generate_series(1, 5000) as id")
    updated = threading.Event()

    def update(_done_keys: int) -> None:
        if not updated.is_set():
            with psycopg.connect(database) as owner:
                owner.execute("update t set version = 1")
            updated.set()

    warm(connection, client, warming("select id, version from t", value="version"), progress=update)
    assert updated.is_set()
    assert set(written(client).values()) == {b"0"}
