"""The same script run by pgbench alone and by `dbtune load`, in turns: throughput and mean latency of both.

`python benchmarks/load.py [PAIRS] [SECONDS]`. The order within a pair alternates, so that drift falls on both alike.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

CLIENTS = 8
SCALE = 5
REST_S = 1.5
"""Before each run: the start of dbtune is a rest for the server, which pgbench alone would not have."""
SCRIPT = "\\set aid random(1, 100000 * 5)\nselect abalance from pgbench_accounts where aid = :aid;\n"
Figures = tuple[float, float]
"""Transactions per second, mean latency in seconds."""


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    with embedded_postgres() as server, tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "select.sql").write_text(SCRIPT)
        (place / "load.yml").write_text(playbook(seconds))
        pgbench = server.bin_dir / "pgbench"
        subprocess.run([pgbench, "-i", "-q", "-s", str(SCALE), server.dsn], check=True, capture_output=True)
        alone(server, place, 2)  # fills the caches
        found: list[tuple[Figures, Figures]] = []
        for number in range(pairs):
            turns = (alone, with_dbtune) if number % 2 else (with_dbtune, alone)
            pair = {}
            for turn in turns:
                time.sleep(REST_S)
                pair[turn] = turn(server, place, seconds)
            ours, theirs = pair[with_dbtune], pair[alone]
            found.append((ours, theirs))
            shown = (f"{tps:,.0f}/s {latency * 1e6:.0f} µs" for tps, latency in (ours, theirs))
            print("dbtune load {}, pgbench {}".format(*shown), flush=True)
    report("mean latency of dbtune load", [ours[1] / theirs[1] for ours, theirs in found])
    report("throughput of dbtune load", [ours[0] / theirs[0] for ours, theirs in found])


def playbook(seconds: int) -> str:
    return (
        "version: 1\nname: bench\nsteps:\n- load:\n    scripts: {select: {file: select.sql}}\n"
        f"    stages: [{{duration: {seconds}s, clients: {CLIENTS}}}]\n"
    )


def alone(server: EmbeddedPostgres, place: Path, seconds: int) -> Figures:
    """pgbench as a person would run it, measuring latencies (-P)."""
    threads = min(CLIENTS, os.cpu_count() or 1)
    command = [str(server.bin_dir / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(threads)]
    command += ["-T", str(seconds), "-P", str(seconds), "-f", str(place / "select.sql"), server.dsn]
    # A session of its own, as dbtune gives it: Linux shares the processors out by session.
    said = subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=True).stdout
    tps = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    latency_ms = re.search(r"^latency average = ([\d.]+)", said, re.MULTILINE)
    if tps is None or latency_ms is None:
        raise AssertionError(said)
    return float(tps[1]), float(latency_ms[1]) / 1000


def with_dbtune(server: EmbeddedPostgres, place: Path, _seconds: int) -> Figures:
    command = [sys.executable, "-m", "dbtune", "load", "load.yml", "--postgres", server.dsn, "--format", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=place)
    step = json.loads(done.stdout)["steps"][0]
    return step["throughput_per_s"], step["latency"]["mean_s"]


def report(what: str, ratios: list[float]) -> None:
    ratios.sort()
    print(
        f"ratio {statistics.median(ratios):.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}) over {len(ratios)} pairs:"
        f" {what} against pgbench on the same script"
    )


if __name__ == "__main__":
    main()
