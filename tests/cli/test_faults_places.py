"""`dbtune warm` where a cache loads its data, or another server takes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from patience import until
from restartable import AWAY, Restartable, restartable
from topologies import Sentinel

from dbtune.servers.redis.wire import borrowed

ROWS = 6000
BOOK = """
version: 1
name: shop
steps:
  - id: items
    cache_warm: {key: "item:{id}", query: "select id from generate_series(1, 6000) as id", ttl: 1h, tags: [items]}
"""
# Slow enough to be met in the middle: a second and a half.
SLOWLY = ("--max-rate", "4000")
# Each key takes a thousandth of a second to load, and there are many: a minute, until the rest may take no time.
LOADING = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
OTHERS = 60_000


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, redis_program: Path | None) -> Iterator[Restartable]:
    with restartable(tmp_path_factory.mktemp("c"), redis_program) as server, server.client() as client:
        client.mset({f"other:{number}": "" for number in range(OTHERS)})
        yield server


def all_there(client: redis.Redis) -> bool:
    return sum(client.exists(f"item:{number}") for number in range(1, ROWS + 1, 100)) == ROWS // 100


def load_again(cache: Restartable, client: redis.Redis) -> None:
    client.save()
    cache.kill()
    cache.launch(*LOADING)
    until(lambda: client.info("persistence")["loading"], "it loads", passing=AWAY)


def let_it_load(client: redis.Redis) -> None:
    client.config_set("key-load-delay", 0)


def names_of_clients(client: redis.Redis) -> list[str]:
    return [one["name"] for one in client.client_list()]


def test_a_cache_that_loads_its_data_in_the_middle_is_waited_for_and_filled_by_the_same_run(
    dbtune: Any, cache: Restartable
) -> None:
    with cache.client() as client:
        path = dbtune.playbook(BOOK)
        process = dbtune.start("warm", path, "--redis", cache.url, "--format", "json", *SLOWLY)
        until(lambda: client.zcard("dbtune:tag:items") > 2000, "it comes to the middle", passing=AWAY)
        load_again(cache, client)
        until(lambda: "dbtune" in names_of_clients(client), "it tries while the cache loads", passing=AWAY)
        let_it_load(client)
        answer = dbtune.end(process)
        assert answer.code == 0, answer
        assert answer.document["steps"][0]["attempts"] > 1
        assert answer.document["circuit"] == {"state": "closed", "transitions": []}
        assert all_there(client)


def test_a_run_that_begins_while_the_cache_loads_waits_for_it_as_long_as_its_time_allows(
    dbtune: Any, cache: Restartable
) -> None:
    with cache.client() as client:
        load_again(cache, client)
        path = dbtune.playbook(BOOK)
        with borrowed(client) as wire, pytest.raises(redis.exceptions.BusyLoadingError):
            wire.call(b"SET", b"item:1", b"")
        in_vain = dbtune.json("warm", path, "--redis", cache.url, "--time-budget", "1s")
        assert (in_vain.code, "is still loading its data" in in_vain.err) == (3, True), in_vain
        process = dbtune.start("warm", path, "--redis", cache.url, "--format", "json")
        until(lambda: "dbtune" in names_of_clients(client), "it tries while the cache loads", passing=AWAY)
        let_it_load(client)
        answer = dbtune.end(process)
        assert (answer.code, answer.document["steps"][0]["keys"]) == (0, ROWS), answer
        assert all_there(client)


@pytest.mark.slow
def test_a_failover_by_sentinel_in_the_middle_is_followed_in_the_same_run(
    dbtune: Any, redis_sentinel: Sentinel
) -> None:
    """It ends on the server that the Sentinel names then, although the old one takes writes for some time more."""
    url = f"sentinel://127.0.0.1:{redis_sentinel.port}/{redis_sentinel.service}/0"
    with redis.Redis(port=redis_sentinel.primary) as old, redis.Redis(port=redis_sentinel.replica) as new:
        path = dbtune.playbook(BOOK)
        process = dbtune.start("warm", path, "--redis", url, "--format", "json", "--max-rate", "1000")
        until(lambda: old.zcard("dbtune:tag:items") > 500, "it begins", passing=AWAY)
        with redis_sentinel.client() as sentinel:
            sentinel.execute_command("SENTINEL", "DEBUG", "publish-period", 2000)
        redis_sentinel.fail_over()
        assert process.poll() is None, "the run was over before"
        answer = dbtune.end(process)
        assert answer.code == 0, answer
        assert answer.document["steps"][0]["attempts"] > 1
        assert answer.document["circuit"]["state"] == "closed"
        assert all_there(new)
