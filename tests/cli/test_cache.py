"""`dbtune cache`: what it shows of a server whose traffic is known."""

from __future__ import annotations

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
from topologies import Cluster, plain_server, wait_for


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
        wait_for(lambda: sum(row["name"] == "dbtune" for row in client.client_list()) == 3, "it watches")
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


def test_a_whole_cluster_is_refused_with_a_word_on_what_to_name(dbtune: Any, redis_cluster: Cluster) -> None:
    whole = redis_cluster.url.replace("redis://", "redis+cluster://")
    for more in ([], ["--watch"]):
        answer = dbtune.run("cache", "--redis", whole, *more)
        assert (answer.code, "name one node at a time" in answer.err) == (3, True)
    document = dbtune.json("cache", "--redis", redis_cluster.url, "--window", "0s").document
    assert "one node of a cluster" in " ".join(document["notes"])


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
        wait_for(lambda: any(row["name"] == "dbtune" for row in client.client_list()), "it watches")
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
