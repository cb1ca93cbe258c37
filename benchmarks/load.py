"""The same script run by pgbench alone and by `dbtune load`: throughput and mean latency of both.

`python benchmarks/load.py [PAIRS] [SECONDS]`. The order within a pair is drawn by lot, so that drift falls on both
alike. Both follow a start of dbtune, a second of work whose heat or spent credit is not to fall on one side only, and
both have a second of warm-up, which also tells dbtune how fast the script goes: a load of minutes knows that from its
first second on. On a machine with neighbours a pair may be off by a tenth: it takes many.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

CLIENTS = 8
SCALE = 5
WARM_UP_S = 1
REST_S = 0.5
SCRIPT = "\\set aid random(1, 100000 * 5)\nselect abalance from pgbench_accounts where aid = :aid;\n"
WATCHED = """#!/bin/sh
[ "$1" = --version ] && exec {program} "$@"
cat /proc/stat > {place}/before
{program} "$@"
cat /proc/stat > {place}/after
"""
"""pgbench with a look at what the processors did meanwhile, all processes together."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run: transactions per second, their mean latency, and the whole machine's processor time for one."""

    tps: float
    mean_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.tps:,.0f}/s {self.mean_s * 1e6:.0f} µs, {self.cpu_s * 1e6:.1f} µs of processors"


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with embedded_postgres() as server, tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "select.sql").write_text(SCRIPT)
        (place / "load.yml").write_text(playbook(seconds))
        program = server.bin_dir / "pgbench"
        subprocess.run([program, "-i", "-q", "-s", str(SCALE), server.dsn], check=True, capture_output=True)
        (place / "pgbench").write_text(WATCHED.format(program=program, place=place))
        (place / "pgbench").chmod(0o755)
        alone(server, place, 2)  # fills the caches
        found: list[tuple[Figures, Figures]] = []
        for _ in range(pairs):
            turns = [alone, with_dbtune]
            random.shuffle(turns)
            pair = {}
            for turn in turns:
                time.sleep(REST_S)
                pair[turn] = turn(server, place, seconds)
            ours, theirs = pair[with_dbtune], pair[alone]
            found.append((ours, theirs))
            print(f"dbtune load {ours}, pgbench {theirs}", flush=True)
    report("mean latency of dbtune load", [ours.mean_s / theirs.mean_s for ours, theirs in found])
    report("processor time of a transaction of dbtune load", [ours.cpu_s / theirs.cpu_s for ours, theirs in found])
    report("throughput of dbtune load", [ours.tps / theirs.tps for ours, theirs in found])


def playbook(seconds: int) -> str:
    return (
        "version: 1\nname: bench\nsteps:\n- load:\n    scripts: {select: {file: select.sql}}\n"
        f"    stages: [{{duration: {seconds}s, clients: {CLIENTS}}}]\n    warm_up: {WARM_UP_S}s\n"
    )


def alone(server: EmbeddedPostgres, place: Path, seconds: int) -> Figures:
    """pgbench as a person would run it, measuring latencies (-P), on a machine that has just started dbtune too."""
    command = [sys.executable, "-m", "dbtune", "plan", "load.yml", "--postgres", server.dsn]
    subprocess.run(command, check=True, capture_output=True, cwd=place)
    pgbench(server, place, WARM_UP_S)
    said = pgbench(server, place, seconds)
    tps = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    latency_ms = re.search(r"^latency average = ([\d.]+)", said, re.MULTILINE)
    if tps is None or latency_ms is None:
        raise AssertionError(said)
    count = re.search(r"actually processed: (\d+)", said)
    return Figures(float(tps[1]), float(latency_ms[1]) / 1000, busy_s(place) / int(count[1] if count else 0))


def busy_s(place: Path) -> float:
    """Seconds of all processors between the two looks, without what was idle or taken by neighbours."""
    before, after = ([int(word) for word in (place / name).read_text().split()[1:8]] for name in ("before", "after"))
    user, nice, system, _idle, _waiting, hard, soft = (late - early for early, late in zip(before, after, strict=True))
    return (user + nice + system + hard + soft) / os.sysconf("SC_CLK_TCK")


def pgbench(server: EmbeddedPostgres, place: Path, seconds: int) -> str:
    threads = min(CLIENTS, os.cpu_count() or 1)
    command = [str(place / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(threads)]
    command += ["-T", str(seconds), "-P", str(seconds), "-f", str(place / "select.sql"), server.dsn]
    # A session of its own, as dbtune gives it: Linux shares the processors out by session.
    return subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=True).stdout


def with_dbtune(server: EmbeddedPostgres, place: Path, _seconds: int) -> Figures:
    command = [sys.executable, "-m", "dbtune", "load", "load.yml", "--postgres", server.dsn, "--format", "json"]
    environment = os.environ | {"DBTUNE_PGBENCH": str(place / "pgbench")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=place, env=environment)
    step = json.loads(done.stdout)["steps"][0]
    return Figures(step["throughput_per_s"], step["latency"]["mean_s"], busy_s(place) / step["requests"])


def report(what: str, ratios: list[float]) -> None:
    ratios.sort()
    # Between these order statistics the median lies with 95 % confidence, whatever the distribution.
    reach = 1.96 * math.sqrt(len(ratios)) / 2
    low, high = (
        ratios[min(max(round(len(ratios) / 2 + side) - (side > 0), 0), len(ratios) - 1)] for side in (-reach, reach)
    )
    print(f"{what}: the median lies between {low:.3f} and {high:.3f} (95% confidence)")
    print(
        f"ratio {statistics.median(ratios):.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}) over {len(ratios)} pairs:"
        f" {what} against pgbench on the same script"
    )


if __name__ == "__main__":
    main()
