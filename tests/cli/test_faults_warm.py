"""`dbtune warm` when something goes wrong in the middle: what is told, what stays, what the next run makes of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from patience import until
from restartable import Restartable, restartable

ROWS = 12_000
BOOK = """
version: 1
name: shop
steps:
  - id: items
    cache_warm: {key: "item:{id}", query: "select id from generate_series(1, 12000) as id", ttl: 1h, tags: [items]}
"""
# Slow enough to be met in the middle: a second and a half.
SLOWLY = ("--max-rate", "8000")


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, redis_program: Path | None) -> Iterator[Restartable]:
    with restartable(tmp_path_factory.mktemp("c"), redis_program) as server:
        yield server


@pytest.fixture
def shop(dbtune: Any, cache: Restartable) -> Any:
    dbtune.environment["REDIS_URL"] = cache.url
    return dbtune


@pytest.fixture
def client(cache: Restartable) -> Iterator[redis.Redis]:
    with cache.client() as client:
        yield client


def in_the_middle(client: redis.Redis) -> None:
    until(lambda: client.zcard("dbtune:tag:items") > 2000, "it comes to the middle")


def all_there(client: redis.Redis) -> bool:
    return sum(client.exists(f"item:{number}") for number in range(1, ROWS + 1, 100)) == ROWS // 100


@pytest.mark.slow
def test_a_second_run_is_refused_while_the_first_is_at_it_and_may_wait_for_it(shop: Any, client: redis.Redis) -> None:
    path = shop.playbook(BOOK)
    first = shop.start("warm", path, "--format", "json", "--max-rate", "300")
    until(lambda: client.exists("item:1"), "it begins")
    refused = shop.json("warm", path)
    assert refused.code == 5
    assert "another run holds the lock" in refused.err
    applied = shop.apply(path)
    assert applied.code == 5
    assert "another run holds the lock" in applied.errors
    waiting = shop.start("warm", path, "--format", "json", "--lock-wait", "60s")
    first.terminate()
    assert shop.end(first).code == 130
    assert shop.end(waiting).code == 0
    assert client.keys("dbtune:lock:*") == []
    assert all_there(client)


def test_killed_in_the_middle_the_next_run_waits_for_nobody_and_goes_on_there(shop: Any, client: redis.Redis) -> None:
    path = shop.playbook(BOOK)
    first = shop.start("warm", path, *SLOWLY)
    in_the_middle(client)
    first.kill()
    first.communicate()
    assert client.keys("dbtune:lock:*")
    answer = shop.json("warm", path)
    assert answer.code == 0, answer
    (row,) = answer.document["steps"]
    assert row["resumed"] > 1000
    assert row["keys"] + row["resumed"] == ROWS
    assert "this one went on there" in answer.notes
    assert all_there(client)


@pytest.mark.slow
def test_rows_that_changed_places_meanwhile_are_written_from_the_beginning(shop: Any, client: redis.Redis) -> None:
    shop.sql("create table items as select id from generate_series(1, 12000) as id")
    path = shop.playbook(BOOK.replace("generate_series(1, 12000) as id", "items order by id"))
    first = shop.start("warm", path, *SLOWLY)
    in_the_middle(client)
    first.kill()
    first.communicate()
    shop.sql("delete from items where id = 3")
    answer = shop.json("warm", path)
    (row,) = answer.document["steps"]
    assert (answer.code, row["resumed"], row["keys"]) == (0, 0, ROWS - 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_true_ledger_and_the_next_run_finishes(
    shop: Any, client: redis.Redis, number: signal.Signals
) -> None:
    path = shop.playbook(BOOK)
    process = shop.start("warm", path, "--format", "json", *SLOWLY)
    in_the_middle(client)
    process.send_signal(number)
    answer = shop.end(process)
    assert answer.code == 130
    assert answer.document["interrupted"] is True
    (row,) = answer.document["steps"]
    assert (row["status"], row["failed"]) == ("failed", 0)
    assert row["keys"] == sum(1 for _ in client.scan_iter("item:*", count=1000)) > 1000
    assert client.keys("dbtune:lock:*") == []
    after = shop.json("warm", path)
    assert after.code == 0
    assert after.document["steps"][0]["keys"] + row["keys"] == ROWS
    assert all_there(client)


@pytest.mark.slow
def test_a_time_budget_ends_it_in_part_and_the_next_run_finishes(shop: Any, client: redis.Redis) -> None:
    path = shop.playbook(BOOK)
    answer = shop.json("warm", path, "--time-budget", "500ms", *SLOWLY)
    assert answer.code == 4
    assert "time budget" in answer.errors
    assert shop.json("warm", path).code == 0
    assert all_there(client)


@pytest.mark.slow
def test_a_postgres_session_lost_in_the_middle_is_told_and_the_next_run_finishes(
    shop: Any, client: redis.Redis
) -> None:
    slow = BOOK.replace("select id from", "select id, case when id % 500 = 0 then pg_sleep(0.1)::text end as n from")
    path = shop.playbook(slow)
    process = shop.start("warm", path, "--format", "json", "--max-rate", "4000")
    in_the_middle(client)
    with psycopg.connect(shop.dsn, autocommit=True) as owner:
        owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dbtune'")
    answer = shop.end(process)
    assert answer.code == 4, answer
    assert "connection was lost" in answer.errors
    assert answer.document["steps"][0]["keys"] == sum(1 for _ in client.scan_iter("item:*", count=1000))
    assert shop.json("warm", path).code == 0
    assert all_there(client)


def test_a_cache_that_restarts_in_the_middle_is_filled_from_the_beginning_in_the_same_run(
    shop: Any, cache: Restartable, client: redis.Redis
) -> None:
    path = shop.playbook(BOOK)
    process = shop.start("warm", path, "--format", "json", *SLOWLY)
    in_the_middle(client)
    cache.kill()
    cache.start()
    answer = shop.end(process)
    assert answer.code == 0, answer
    (row,) = answer.document["steps"]
    assert row["attempts"] > 1
    assert (row["keys"], row["resumed"]) == (ROWS, 0)
    assert answer.document["circuit"]["state"] == "closed"
    assert all_there(client)


@pytest.mark.parametrize("mode", ["overwrite", "nx"])
def test_a_row_counts_once_although_connections_were_lost_in_the_middle(
    shop: Any, client: redis.Redis, mode: str
) -> None:
    process = shop.start(
        "warm", shop.playbook(BOOK.replace("ttl: 1h", f"ttl: 1h, mode: {mode}")), "--format", "json", *SLOWLY
    )
    in_the_middle(client)
    client.client_kill_filter(_type="normal", skipme=True)
    answer = shop.end(process)
    (row,) = answer.document["steps"]
    assert answer.code == 0, answer
    assert row["attempts"] > 1
    assert (row["keys"] + row["kept"], row["failed"], row["resumed"]) == (ROWS, 0, 0)
    assert all_there(client)


@pytest.mark.slow
def test_a_cache_that_is_gone_ends_runs_until_the_circuit_opens_and_is_filled_when_it_is_back(
    shop: Any, cache: Restartable, client: redis.Redis
) -> None:
    path = shop.playbook(BOOK)
    cache.kill()
    for _ in range(5):
        answer = shop.json("warm", path)
        assert answer.code == 3
        assert "cannot be reached" in answer.err
    refused = shop.json("warm", path)
    assert refused.code == 3
    assert "the circuit is open until" in refused.err
    (circuit,) = (shop.home / "state").rglob("circuits/*.json")
    assert json.loads(circuit.read_text())["state"] == "open"
    cache.start()
    # A minute later.
    circuit.write_text(json.dumps({**json.loads(circuit.read_text()), "opened_at": "2026-01-01T00:00:00+00:00"}))
    answer = shop.json("warm", path)
    assert answer.code == 0, answer
    assert answer.document["circuit"]["state"] == "closed"
    assert answer.document["circuit"]["transitions"] == ["circuit open -> half-open", "circuit half-open -> closed"]
    assert all_there(client)


def test_a_full_cache_ends_it_with_what_to_do_and_a_true_ledger(shop: Any, client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + (1 << 20))
    answer = shop.json("warm", shop.playbook(BOOK))
    assert answer.code == 4, answer
    (row,) = answer.document["steps"]
    assert "maxmemory" in row["error"] + row["hint"]
    assert row["keys"] == sum(1 for _ in client.scan_iter("item:*", count=1000))
    client.config_set("maxmemory", 0)
    assert shop.json("warm", shop.playbook(BOOK)).code == 0
    assert all_there(client)


def test_a_cache_that_would_have_to_evict_is_left_alone_unless_told(shop: Any, client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + (1 << 20))
    book = shop.playbook(BOOK.replace("select id from", "select id, repeat('x', 500) as body from"))
    answer = shop.json("warm", book, "--max-rate", "10000")
    assert answer.code == 4, answer
    assert "maxmemory" in answer.errors or "evicts" in answer.errors
    assert shop.json("warm", book, "--ignore-memory").code == 0


def test_a_replica_is_refused(shop: Any, client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", "1")
    answer = shop.json("warm", shop.playbook(BOOK))
    assert answer.code == 3, answer
    assert "this is a replica: connect to the primary" in answer.err


def test_a_user_who_may_not_write_is_told_which_command(shop: Any, cache: Restartable, client: redis.Redis) -> None:
    client.acl_setuser(
        "reader", enabled=True, nopass=True, commands=["+@read", "+@connection", "+info", "+time"], keys=["*"]
    )
    url = cache.url.replace("unix://", "unix://reader:x@")
    answer = shop.json("warm", shop.playbook(BOOK), "--redis", url)
    assert answer.code == 3, answer
    assert "permissions" in (answer.err + str(answer.out))


def test_metrics_go_into_a_file_and_nowhere_else(shop: Any) -> None:
    answer = shop.run("warm", shop.playbook(BOOK), "--metrics-file", "/dev/full")
    assert answer.code == 2
    assert "is no file" in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_apply_ended_in_a_warm_up_is_finished_by_the_next(
    shop: Any, client: redis.Redis, number: signal.Signals
) -> None:
    path = shop.playbook(BOOK.replace("12000", "400000"))
    process = shop.start("apply", path, "--yes", "--format", "json")
    in_the_middle(client)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    assert not [key for key in client.scan_iter("dbtune:warm:*", count=1000) if b":keys" not in key]
    path = shop.playbook(BOOK)
    assert shop.apply(path).statuses == ["applied"]
    assert all_there(client)
    assert shop.rollback().code == 0
    assert not client.exists("item:1", "item:12000")
