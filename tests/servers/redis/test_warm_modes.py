"""What is written when something is there already, or was invalidated while the rows were under way."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import psycopg
import pytest
import redis

from dbtune.cache.generations import (
    BURY,
    GENERATION_KEY,
    GENERATION_LOG,
    LOGGED,
    RAISE,
    TOMBSTONE_MS,
    pattern_entry,
    tag_entry,
    tombstone_key,
)
from dbtune.core.actions import ForgetKeys, WarmKeys
from dbtune.core.warming import Overtaken
from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import session
from dbtune.servers.redis.warm import forget, warm

MARKER = "dbtune:warm:modes"
# More than a batch holds.
ROWS = 10_000
LAST = f"item:{ROWS}"


@pytest.fixture
def connection(database: str) -> Iterator[postgres.Connection]:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(f"create table items as select id, 1 as version from generate_series(1, {ROWS}) as id".encode())
        owner.execute("alter table items add primary key (id)")
    with postgres.connect(database) as connection:
        yield connection


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with session.connect(cache_url) as client:
        yield client


def warming(query: str = "select id, version from items order by id", **changes: Any) -> WarmKeys:
    given: dict[str, Any] = {
        "query": query,
        "key": "item:{id}",
        "ttl_s": 3600.0,
        "jitter": 0.1,
        "tags": ("items",),
        "marker": MARKER,
        "fingerprint": "f",
        "fresh_for_s": 1800.0,
    }
    return WarmKeys(**{**given, **changes})


def bury(client: redis.Redis, key: str) -> None:
    """What `dbtune invalidate` and an application do to one key."""
    client.eval(BURY, 2, key, cast("str", tombstone_key(key.encode())), TOMBSTONE_MS)


def raise_generation(client: redis.Redis, *entries: bytes) -> None:
    client.eval(RAISE, 2, GENERATION_KEY, GENERATION_LOG, 2 * TOMBSTONE_MS, LOGGED, *cast("tuple[str, ...]", entries))


def once(act: Callable[[], None]) -> Callable[[int], None]:
    """For `progress`: between the first batch that was sent and the next."""
    left = [act]

    def progress(_: int) -> None:
        if left:
            left.pop()()

    return progress


def version_at(client: redis.Redis, key: str) -> int | None:
    value = cast("bytes | None", client.get(key))
    return None if value is None else int(json.loads(value)["version"])


@pytest.mark.parametrize(("mode", "seen"), [("newer", None), ("overwrite", 1)])
def test_what_is_written_and_invalidated_meanwhile_never_comes_back_old_with_newer_and_does_with_overwrite(
    connection: postgres.Connection, client: redis.Redis, database: str, mode: Any, seen: int | None
) -> None:
    def write_and_invalidate() -> None:
        with psycopg.connect(database, autocommit=True) as application:
            application.execute("update items set version = 2 where id = %s", (ROWS,))
        bury(client, LAST)

    warmed = warm(connection, client, warming(mode=mode), progress=once(write_and_invalidate))
    assert version_at(client, LAST) == seen
    assert warmed.kept == (1 if mode == "newer" else 0)
    assert warmed.keys + warmed.kept == ROWS


def test_a_value_that_the_application_stored_meanwhile_stays_when_it_left_a_tombstone(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    def write_through() -> None:
        bury(client, LAST)
        client.set(LAST, json.dumps({"id": ROWS, "version": 2}))

    warm(connection, client, warming(mode="newer"), progress=once(write_through))
    assert version_at(client, LAST) == 2


def test_what_was_invalidated_before_the_snapshot_is_warmed(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    bury(client, "item:7")
    seconds, microseconds = client.time()
    while client.time()[0] * 1000 + client.time()[1] // 1000 <= seconds * 1000 + microseconds // 1000:
        pass
    assert warm(connection, client, warming(mode="newer")).kept == 0
    assert version_at(client, "item:7") == 1


def test_a_tombstone_that_is_no_time_counts_as_younger_than_everything(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    client.set(tombstone_key(b"item:7"), "gone")
    assert warm(connection, client, warming(mode="newer")).kept == 1
    assert not client.exists("item:7")


@pytest.mark.parametrize("entry", [tag_entry("items"), pattern_entry(b"item:1*"), pattern_entry(b"it*")])
def test_a_tag_or_pattern_invalidated_meanwhile_stops_what_it_concerns(
    connection: postgres.Connection, client: redis.Redis, entry: bytes
) -> None:
    with pytest.raises(Overtaken, match="invalidated meanwhile"):
        warm(connection, client, warming(mode="newer"), progress=once(lambda: raise_generation(client, entry)))
    assert not client.exists(LAST, MARKER)
    assert warm(connection, client, warming(mode="newer")).keys == ROWS


@pytest.mark.parametrize("entry", [tag_entry("others"), pattern_entry(b"user:*")])
def test_one_that_concerns_other_keys_does_not(
    connection: postgres.Connection, client: redis.Redis, entry: bytes
) -> None:
    warmed = warm(connection, client, warming(mode="newer"), progress=once(lambda: raise_generation(client, entry)))
    assert warmed.keys == ROWS


def test_more_invalidations_than_are_kept_count_as_concerning(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    raise_generation(client, b"tag:before")

    def many() -> None:
        for number in range(LOGGED + 5):
            raise_generation(client, tag_entry(f"other {number}"))

    with pytest.raises(Overtaken):
        warm(connection, client, warming(mode="newer"), progress=once(many))


@pytest.mark.parametrize("encoding", [None, "msgpack"])
def test_a_newer_version_in_the_cache_stays_and_an_older_or_equal_one_goes(
    connection: postgres.Connection, client: redis.Redis, encoding: Any
) -> None:
    import msgpack  # type: ignore[import-untyped]

    pack = json.dumps if encoding is None else msgpack.packb
    for key, version in (("item:1", 12), ("item:2", 9), ("item:3", 10)):
        client.set(key, pack({"version": version, "from": "application"}))
    client.set("item:4", b"what nobody can read")
    client.rpush("item:5", "a list")
    query = "select id, 10 as version from generate_series(1, 6) id"
    warmed = warm(connection, client, warming(query, mode="newer", version="version", encoding=encoding))
    assert (warmed.keys, warmed.kept) == (3, 3)
    assert client.get("item:1") == (
        pack({"version": 12, "from": "application"}).encode()
        if encoding is None
        else pack({"version": 12, "from": "application"})
    )
    assert client.get("item:4") == b"what nobody can read"
    assert client.type("item:5") == b"list"


def test_versions_of_a_hash_are_compared_as_numbers_of_any_length_and_as_times(
    connection: postgres.Connection, client: redis.Redis
) -> None:
    client.hset("item:1", mapping={"version": "9223372036854775807"})
    client.hset("item:2", mapping={"version": "9223372036854775805"})
    client.hset("item:3", mapping={"version": "-5"})
    query = "select id, 9223372036854775806 as version from generate_series(1, 3) id"
    warmed = warm(connection, client, warming(query, mode="newer", version="version", form="hash"))
    assert (warmed.keys, warmed.kept) == (2, 1)
    client.flushdb()
    client.set("item:1", '{"at":"2026-01-01T00:00:00.5+00:00"}')
    for at, kept in (("2026-01-01 00:00:00+00", 1), ("2026-01-01 00:00:00.51+00", 0)):
        connection.execute("set timezone to 'UTC'")
        query = f"select 1 as id, timestamptz '{at}' as at"
        assert warm(connection, client, warming(query, mode="newer", version="at")).kept == kept


@pytest.mark.parametrize("form", ["string", "hash", "list"])
def test_nx_writes_what_is_absent_and_xx_what_is_there_and_rollback_removes_only_ours(
    connection: postgres.Connection, client: redis.Redis, form: Any
) -> None:
    value = "version" if form == "list" else None
    query = "select id, version from items where id <= 3"
    client.set("item:1", "theirs")
    warmed = warm(connection, client, warming(query, mode="nx", form=form, value=value))
    assert (warmed.keys, warmed.kept) == (2, 1)
    assert client.get("item:1") == b"theirs"
    assert forget(client, ForgetKeys(MARKER, ("items",))) == 2
    assert client.keys("item:*") == [b"item:1"]
    warmed = warm(connection, client, warming(query, mode="xx", form=form, value=value))
    assert (warmed.keys, warmed.kept) == (1, 2)
    assert client.type("item:1") == form.encode()


@pytest.mark.slow(20)
def test_twenty_warm_runs_beside_a_writing_and_invalidating_application_leave_no_stale_read(
    connection: postgres.Connection, client: redis.Redis, database: str, cache_url: str
) -> None:
    """The application reads through the cache; a read may never see less than what was invalidated before it."""
    ended, stale = threading.Event(), list[tuple[int, int, int]]()
    reads = 0

    def application() -> None:
        nonlocal reads
        least = dict.fromkeys(range(1, 201), 1)
        chance = random.Random(7)  # noqa: S311 - the same run every time
        with (
            psycopg.connect(database, autocommit=True) as rows,
            redis.Redis.from_url(cache_url) as cache,
        ):
            while not ended.is_set():
                number = chance.randint(1, 200)
                if chance.random() < 0.4:
                    row = rows.execute(
                        "update items set version = version + 1 where id = %s returning version", (number,)
                    )
                    least[number] = cast("tuple[int]", row.fetchone())[0]
                    bury(cache, f"item:{number}")
                    continue
                reads += 1
                found = version_at(cache, f"item:{number}")
                if found is None:
                    row = rows.execute("select version from items where id = %s", (number,))
                    found = cast("tuple[int]", row.fetchone())[0]
                    cache.set(f"item:{number}", json.dumps({"id": number, "version": found}), ex=60)
                if found < least[number]:
                    stale.append((number, found, least[number]))

    thread = threading.Thread(target=application)
    thread.start()
    try:
        for _ in range(20):
            # Read backwards: the rows that the application changes come last, long after the snapshot.
            warm(connection, client, warming("select id, version from items order by id desc", mode="newer"))
    finally:
        ended.set()
        thread.join()
    assert reads > 100
    assert stale == []
