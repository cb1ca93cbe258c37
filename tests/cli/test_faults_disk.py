"""`dbtune warm` where a disk is full: what it costs, and what not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import redis

ROWS = 12_000
BOOK = """
version: 1
name: shop
steps:
  - id: items
    cache_warm: {key: "item:{id}", query: "select id from generate_series(1, 12000) as id", ttl: 1h, tags: [items]}
"""


def all_there(client: redis.Redis) -> bool:
    return sum(client.exists(f"item:{number}") for number in range(1, ROWS + 1, 100)) == ROWS // 100


def on_a_full_disk(dbtune: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a disk without a free byte: no file may grow (`ulimit -f 0`)."""
    command = ["/bin/sh", "-c", 'ulimit -f 0; exec "$0" -m dbtune "$@"', sys.executable, *arguments]
    return subprocess.run(
        command, env=dbtune._environment(None), cwd=dbtune.home, capture_output=True, text=True, check=False, timeout=60
    )


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_full_disk_costs_the_metrics_and_neither_the_warm_up_nor_the_file_that_was_there(
    dbtune: Any, cache_url: str
) -> None:
    dbtune.environment["REDIS_URL"] = cache_url
    path, metrics = dbtune.playbook(BOOK), dbtune.home / "shop.prom"
    metrics.write_text("of an earlier run\n")
    before = files(dbtune.home)
    done = on_a_full_disk(dbtune, "warm", path, "--metrics-file", str(metrics))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"the metrics cannot be written to {metrics}: File too large" in done.stderr
    assert files(dbtune.home) == before
    assert metrics.read_text() == "of an earlier run\n"
    with redis.Redis.from_url(cache_url) as client:
        assert all_there(client)


def test_a_full_disk_does_not_hide_that_the_cache_is_away(dbtune: Any) -> None:
    path = dbtune.playbook(BOOK)
    before = files(dbtune.home)
    done = on_a_full_disk(dbtune, "warm", path, "--redis", "redis://127.0.0.1:1/0")
    assert (done.returncode, "cannot be reached" in done.stderr) == (3, True), done.stderr
    assert files(dbtune.home) == before


def test_a_report_that_finds_no_room_is_exit_2_and_no_half_of_it_stays(dbtune: Any, cache_url: str) -> None:
    path, report = dbtune.playbook(BOOK), dbtune.home / "report.json"
    done = on_a_full_disk(dbtune, "warm", path, "--redis", cache_url, "--output", str(report))
    assert (done.returncode, "cannot be written: File too large" in done.stderr) == (2, True), done.stderr
    assert not report.exists()
    with redis.Redis.from_url(cache_url) as client:
        assert all_there(client)
