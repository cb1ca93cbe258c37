"""`dbtune baseline capture --load`: a playbook's load as the traffic that is watched, with a real pgbench."""

from __future__ import annotations

import json
from pathlib import Path

import forks

BOOK = """version: 1
name: peak
steps:
  - id: peak
    name: Peak
    load: {scripts: {ping: "select 1 + 1"}, stages: [{duration: 1s, clients: 2}, {duration: 1s, clients: 1}]}
"""


def test_a_load_is_captured_with_the_counters_that_it_moved(database: str, tmp_path: Path) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as app:
        app.execute("create extension if not exists pg_stat_statements")
    (tmp_path / "peak.yml").write_text(BOOK)
    for name in ("before", "after"):
        done = forks.run(
            ["baseline", "capture", name, "--postgres", database, "--load", "peak.yml", "--quiet"], cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    document = json.loads((tmp_path / ".dbtune" / "baselines" / "after.json").read_text())
    (load,) = document["loads"]
    assert load["engine"].startswith("pgbench")
    assert len(document["snapshots"]) >= 3
    ids = [queryid for queryid, text in document["texts"].items() if text == "select $1 + $2"]
    calls = [
        row["calls"]
        for row in document["snapshots"][-1]["statements"]["rows"]
        if row["queryid"] in ids and "calls" in row
    ]
    assert sum(calls) >= sum(block["sent"] for block in load["blocks"]) > 0
    compared = forks.run(["baseline", "compare", "before", "after", "--format", "json"], cwd=tmp_path)
    metrics = {metric["name"]: metric for metric in json.loads(compared.stdout)["metrics"]}
    assert metrics["latency.p50"]["n_before"] >= 3
    assert metrics["throughput.rate"]["after"] > 0


def test_what_does_not_fit_a_load_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "peak.yml").write_text(BOOK)
    (tmp_path / "none.yml").write_text("version: 1\nname: n\nsteps:\n  - sql: {apply: select 1, verify: select 1}\n")
    capture = ["baseline", "capture", "x", "--postgres", "postgresql://nobody@localhost:1/x"]
    for more, words in (
        (["--load", "none.yml"], "has no load"),
        (["--load", "gone.yml"], "gone.yml"),
        (["--profile", "smoke"], "--load"),
    ):
        done = forks.run([*capture, *more], cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr


def test_a_load_and_a_window_are_one_too_many(database: str, tmp_path: Path) -> None:
    (tmp_path / "peak.yml").write_text(BOOK)
    done = forks.run(
        ["baseline", "capture", "x", "--postgres", database, "--load", "peak.yml", "--window", "5s"], cwd=tmp_path
    )
    assert done.returncode == 2
    assert "leave out --window" in done.stderr


def test_a_load_that_measures_nothing_leaves_no_baseline(database: str, tmp_path: Path) -> None:
    (tmp_path / "peak.yml").write_text(BOOK.replace("select 1 + 1", "select * from nowhere"))
    done = forks.run(["baseline", "capture", "x", "--postgres", database, "--load", "peak.yml"], cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    stored = list(tmp_path.rglob("x.json"))
    # pgbench may count the failures: then they are said, and no latency is made up.
    assert bool(stored) == (done.returncode == 0)
    for path in stored:
        blocks = json.loads(path.read_text())["loads"][0]["blocks"]
        assert sum(block["sent"] - block.get("failed", 0) for block in blocks) == 0
