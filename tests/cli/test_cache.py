"""`dbtune cache`: what it shows of a server whose traffic is known."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from patience import until
from topologies import Cluster, Sentinel, cluster, plain_server


@contextmanager
def traffic(port: int) -> Iterator[dict[str, int]]:
    """An application that reads two prefixes, one of them always in vain, until the block ends."""
    stop, counts = threading.Event(), {"hits": 0, "misses": 0}

    def work() -> None:
        with redis.Redis(port=port) as client:
            while not stop.is_set():
                client.get("rec:content:1:full")
                client.get("rec:content:2:full")
                client.get("auth:user:9")
                counts["hits"], counts["misses"] = counts["hits"] + 2, counts["misses"] + 1
                time.sleep(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def server(redis_program: Path | None) -> Iterator[int]:
    with plain_server(redis_program, maxmemory="200mb", maxmemory_policy="volatile-lru") as (_, port):
        with redis.Redis(port=port) as client:
            for number in range(200):
                client.set(f"rec:content:{number}:full", "x" * 200, ex=3600 + number)
            client.mset({f"config:{number}": "y" for number in range(300)})
            client.set("huge", "z" * 500_000)
        yield port


def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def test_the_hit_rate_of_a_window_is_the_applications_alone(dbtune: Any, server: int) -> None:
    with traffic(server):
        answer = dbtune.json("cache", "--redis", url(server), "--window", "1s")
    document = answer.document
    assert answer.code == 0
    assert document["schema"] == "dbtune.cache/1"
    assert document["hit_rate"] == pytest.approx(2 / 3, abs=0.02)
    window = document["window"]
    # The application sends three commands a turn; of ours, none are counted.
    assert window["commands"] == pytest.approx(window["hits"] + window["misses"], rel=0.1, abs=6)
    assert next(one for one in document["commands"] if one["command"] == "get")["p99_s"] > 0


def test_keys_are_shown_by_prefix_with_their_lives_and_the_biggest_of_them(dbtune: Any, server: int) -> None:
    document = dbtune.json("cache", "--redis", url(server), "--window", "0s").document
    prefixes = {row["prefix"]: row for row in document["prefixes"]}
    assert (prefixes["rec:content:*:full"]["keys"], prefixes["config:*"]["keys"]) == (200, 300)
    assert prefixes["rec:content:*:full"]["lives_s"] == pytest.approx(3700, abs=120)
    assert prefixes["config:*"]["lasting"] == 1
    assert document["biggest_keys"][0]["key"] == "huge"
    assert sum(bucket["keys"] for bucket in document["ttl_histogram"]) == 501
    assert document["ttl_histogram"][-1] == {"up_to_s": None, "keys": 301, "expires": False}
    assert document["memory"]["limit_bytes"] == 200 << 20
    assert document["hit_rate"] is None
    assert any(one["check"] == "hit rate" for one in document["skipped"])


def test_misses_come_by_prefix_where_the_server_announces_them_and_reads_with_monitor(dbtune: Any, server: int) -> None:
    with redis.Redis(port=server) as client:
        client.config_set("notify-keyspace-events", "Em")
    with traffic(server):
        document = dbtune.json("cache", "--redis", url(server), "--window", "2s", "--monitor", "5s").document
    prefixes = {row["prefix"]: row for row in document["prefixes"]}
    assert prefixes["auth:user:*"]["misses"] > 0
    assert prefixes["auth:user:*"]["hit_rate"] == pytest.approx(0, abs=0.2)
    assert prefixes["rec:content:*:full"]["misses"] == 0
    assert prefixes["rec:content:*:full"]["hit_rate"] == 1


def test_a_server_that_restarts_within_the_window_has_no_hit_rate(dbtune: Any, server: int) -> None:
    with redis.Redis(port=server) as client:
        for _ in range(50):
            client.get("nothing")
        process = dbtune.start("cache", "--redis", url(server), "--window", "3s", "--format", "json")
        # One connection for the survey, one for the counters, one for notifications: then the window has begun.
        until(lambda: sum(row["name"] == "dbtune" for row in client.client_list()) == 3, "it watches")
        client.config_resetstat()
    answer = dbtune.end(process)
    assert answer.document["hit_rate"] is None
    assert "counters were reset" in str(answer.document["skipped"])


def test_advice_is_a_playbook_too(dbtune: Any, server: int) -> None:
    path = dbtune.home / "advice.yml"
    answer = dbtune.json("cache", "--redis", url(server), "--window", "0s", "--advice-playbook", str(path))
    assert "RD003" in {finding["code"] for finding in answer.document["findings"]}
    steps = yaml.safe_load(path.read_text())["steps"]
    assert {"redis_setting": {"name": "maxmemory-policy", "value": "allkeys-lru"}} in steps
    assert dbtune.run("validate", str(path)).code == 0
    with redis.Redis(port=server) as client:
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    dbtune.run("cache", "--redis", url(server), "--window", "0s", "--advice-playbook", str(path))
    names = [step["redis_setting"]["name"] for step in yaml.safe_load(path.read_text())["steps"]]
    assert names[:2] == ["maxmemory", "maxmemory-policy"], "a limit alone would make writes fail"


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_every_form_shows_the_tables_and_harmless_names(form: str, dbtune: Any, server: int) -> None:
    with redis.Redis(port=server) as client:
        client.set("<b>\x1b[31m:1", "x" * 200_000)
    answer = dbtune.run("cache", "--redis", url(server), "--window", "0s", "--format", form)
    assert answer.code == 0
    assert "rec:content" in answer.out.replace("\\", "")
    assert "\x1b" not in answer.out
    assert "<b>" not in answer.out or form == "terminal"


def test_a_user_with_few_rights_sees_what_he_may(dbtune: Any, server: int) -> None:
    with redis.Redis(port=server) as client:
        client.acl_setuser("viewer", enabled=True, passwords=["+pw"], commands=["+ping", "+client", "+info"])
    answer = dbtune.json("cache", "--redis", f"redis://viewer:pw@127.0.0.1:{server}/0", "--window", "200ms")
    assert answer.code == 0
    assert answer.document["memory"]["used_bytes"] > 0
    assert "command times" in {one["check"] for one in answer.document["skipped"]}
    assert "pw" not in answer.out.replace("power", "")


@contextmanager
def cluster_traffic(cluster: Cluster) -> Iterator[None]:
    """Two hits and a miss, on whichever nodes they lie."""
    stop = threading.Event()

    def work() -> None:
        with redis.RedisCluster.from_url(cluster.url) as client:
            number = 0
            while not stop.wait(0.002):
                number += 1
                client.get(f"rec:content:{number % 300}:full")
                client.get(f"rec:content:{(number * 7) % 300}:full")
                client.get(f"auth:user:{number % 50}")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def filled_cluster(redis_cluster: Cluster) -> Cluster:
    with redis.RedisCluster.from_url(redis_cluster.url) as client:
        for number in range(300):
            client.set(f"rec:content:{number}:full", "x" * 200, ex=3600)
        client.set("huge", "z" * 500_000)
    return redis_cluster


def test_a_cluster_is_looked_at_as_a_whole_from_any_of_its_nodes(dbtune: Any, filled_cluster: Cluster) -> None:
    with cluster_traffic(filled_cluster):
        answer = dbtune.json("cache", "--redis", filled_cluster.urls[1], "--window", "1s")
    document = answer.document
    assert answer.code == 0, answer
    assert document["hit_rate"] == pytest.approx(2 / 3, abs=0.02)
    assert document["keys"] == document["sampled"] == 301
    prefixes = {row["prefix"]: row["keys"] for row in document["prefixes"]}
    assert prefixes == {"rec:content:*:full": 300, "huge": 1}
    assert document["biggest_keys"][0]["key"] == "huge"
    assert len(document["biggest_keys"]) == 10
    assert document["ttl_histogram"][-1]["keys"] == 1
    nodes = document["nodes"]
    assert [node["target"] for node in nodes] == [f"127.0.0.1:{port}/0" for port in sorted(filled_cluster.ports)]
    assert sum(node["keys"] for node in nodes) == 301
    assert all(80 < node["keys"] < 120 and 0.5 < node["hit_rate"] < 0.8 for node in nodes)
    used = [node["memory"]["used_bytes"] for node in nodes]
    assert document["memory"]["used_bytes"] == sum(used)
    got = next(one for one in document["commands"] if one["command"] == "get")
    assert got["calls"] == pytest.approx(document["window"]["commands"], rel=0.2)
    # No node has a limit: that is said once, of the cluster.
    unbounded = [finding for finding in document["findings"] if finding["code"] == "RD001"]
    assert [finding["object"] for finding in unbounded] == [document["target"]]


def test_what_is_so_on_one_node_of_a_cluster_is_said_of_that_node(dbtune: Any, filled_cluster: Cluster) -> None:
    odd = filled_cluster.ports[2]
    with contextlib.ExitStack() as stack:
        for port in filled_cluster.ports:
            client = stack.enter_context(redis.Redis(port=port))
            client.config_set("maxmemory", 0 if port == odd else 1 << 30)
        answer = dbtune.json(
            "cache", "--redis", filled_cluster.url.replace("redis://", "redis+cluster://"), "--window", "0s"
        )
        unbounded = [finding for finding in answer.document["findings"] if finding["code"] == "RD001"]
        assert [finding["object"] for finding in unbounded] == [f"127.0.0.1:{odd}/0"]
        assert answer.document["memory"]["limit_bytes"] == 0
        text = dbtune.run("cache", "--redis", filled_cluster.url, "--window", "0s").out
        assert "Nodes" in text
        assert all(f"127.0.0.1:{port}" in text for port in filled_cluster.ports)
        for port in filled_cluster.ports:
            redis.Redis(port=port).config_set("maxmemory", 0)


def test_watching_a_cluster_adds_its_nodes_up(dbtune: Any, filled_cluster: Cluster) -> None:
    with cluster_traffic(filled_cluster):
        answer = dbtune.run(
            "cache", "--redis", filled_cluster.url, "--watch", "--every", "300ms", "--times", "2", "--format", "json"
        )
    _, second = map(json.loads, answer.out.splitlines())
    assert second["hit_rate"] == pytest.approx(2 / 3, abs=0.05)
    assert (second["keys"], second["note"]) == (301, None)


@pytest.mark.slow
def test_a_node_of_a_cluster_that_is_gone_is_named_and_the_others_are_shown(
    dbtune: Any, redis_program: Path | None
) -> None:
    with cluster(redis_program) as made:
        gone = f"127.0.0.1:{made.ports[2]}"
        with redis.Redis(port=made.ports[2]) as client:
            client.shutdown(nosave=True)
        document = dbtune.json("cache", "--redis", made.url, "--window", "200ms").document
        assert sorted(node["target"] for node in document["nodes"]) == sorted(
            f"127.0.0.1:{port}/0" for port in made.ports[:2]
        )
        (left_out,) = (one for one in document["skipped"] if one["check"] == "node")
        assert gone in left_out["reason"]
        answer = dbtune.run("cache", "--redis", made.url, "--watch", "--every", "200ms", "--times", "1")
        assert (answer.code, gone in answer.out, "hit rate" in answer.out) == (0, True, False)


def test_the_primary_behind_a_sentinel_is_looked_at(dbtune: Any, redis_sentinel: Sentinel) -> None:
    with redis.Redis(port=redis_sentinel.primary) as client:
        client.set("rec:1", "x")
    sentinel = f"redis+sentinel://127.0.0.1:{redis_sentinel.port}/{redis_sentinel.service}/0"
    answer = dbtune.json("cache", "--redis", sentinel, "--window", "200ms")
    assert (answer.code, answer.document["keys"], answer.document["nodes"]) == (0, 1, [])
    assert answer.document["target"] == f"{redis_sentinel.service}/0, by sentinel 127.0.0.1:{redis_sentinel.port}"
    process = dbtune.start(
        "cache", "--redis", sentinel, "--watch", "--every", "200ms", "--format", "json", "--times", "150"
    )
    assert json.loads(process.stdout.readline())["hit_rate"] is None
    redis_sentinel.fail_over()
    with redis.Redis(port=redis_sentinel.replica) as new:
        until(lambda: any(row["name"] == "dbtune" for row in new.client_list()), "it is watched")
    process.terminate()
    assert dbtune.end(process).code == 0


def test_watch_prints_a_line_for_each_look_and_ends(dbtune: Any, server: int) -> None:
    with traffic(server):
        answer = dbtune.run(
            "cache", "--redis", url(server), "--watch", "--every", "300ms", "--times", "2", "--format", "json"
        )
    first, second = map(json.loads, answer.out.splitlines())
    assert answer.code == 0
    assert first["schema"] == "dbtune.cache-watch/1"
    assert second["hit_rate"] == pytest.approx(2 / 3, abs=0.05)


def test_watch_survives_a_reset_and_a_dropped_connection(dbtune: Any, server: int) -> None:
    process = dbtune.start("cache", "--redis", url(server), "--watch", "--every", "300ms", "--times", "6")
    with redis.Redis(port=server) as client:
        until(lambda: any(row["name"] == "dbtune" for row in client.client_list()), "it watches")
        client.client_kill_filter(_type="normal", skipme=True)
    answer = dbtune.end(process)
    assert answer.code == 0
    assert len(answer.out.splitlines()) == 6


def test_watch_on_a_terminal_is_live_and_ctrl_c_ends_it_in_good_order(dbtune: Any, server: int) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dbtune", "cache", "--redis", url(server), "--watch", "--every", "200ms"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    seen = b""
    while b"hit rate" not in seen:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    os.close(ours)
    assert (process.returncode, error) == (0, b"")


def test_watch_has_no_file_and_no_page(dbtune: Any, server: int) -> None:
    answer = dbtune.run("cache", "--redis", url(server), "--watch", "--format", "html")
    assert answer.code == 2
    assert "--watch writes to standard output" in answer.err
