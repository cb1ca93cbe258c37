"""What `dbtune load` takes from the load itself: pgbench alone and under `dbtune load`, on one server, by turns.

`python benchmarks/load.py [ROUNDS] [SECONDS]`. Speeds of a machine with neighbours change by a half within seconds, so
that runs one after the other say little. Here both run at once and only one of them may work at a time (SIGSTOP for
the other one and all its processes), for a tenth of a second by lot: what the machine does meanwhile befalls both.
Each works for SECONDS in a round; its throughput is what it did, by the time it was given. A run is faster or slower
than its like by a tenth for as long as it lasts, by where its sessions happen to be: each round is a new run of both,
for `dbtune load` a stage. The mean latency that it reports is held against pgbench's own summary of the same run.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dbtune.load.pgbench_output import Summary, parse_summary
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

CLIENTS = 8
SCALE = 5
WARM_UP_S = 1
TURN_S = 0.1
SCRIPT = "\\set aid random(1, 100000 * 5)\nselect abalance from pgbench_accounts where aid = :aid;\n"
HELD = """#!/bin/sh
case " $* " in *" -l "*|*" -P 1000 "*) ;; *) exec {program} "$@" ;; esac
echo $PPID > {place}/parent.$$ && mv {place}/parent.$$ {place}/ready.$$
while [ -e {place}/ready.$$ ]; do sleep 0.005; done
{program} "$@" > {place}/said.$$
status=$?
cat {place}/said.$$
exit $status
"""
"""pgbench that waits (but for a warm-up) until its mark is taken away, and whose words are kept."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of both: the groups of processes that work for it, and the number that marks its pgbench."""

    groups: tuple[int, ...]
    mark: int

    def send(self, number: signal.Signals) -> None:
        for group in self.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, number)


@dataclass(frozen=True, slots=True)
class Round:
    """What pgbench said itself under dbtune and alone, and for how many seconds each could work."""

    ours: Summary
    theirs: Summary
    ours_s: float
    theirs_s: float

    @property
    def ratio(self) -> float:
        return self.ours.transactions / self.ours_s / (self.theirs.transactions / self.theirs_s)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with embedded_postgres() as server, tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "select.sql").write_text(SCRIPT)
        (place / "load.yml").write_text(playbook(rounds, seconds))
        program = server.bin_dir / "pgbench"
        subprocess.run([program, "-i", "-q", "-s", str(SCALE), server.dsn], check=True, capture_output=True)
        (place / "pgbench").write_text(HELD.format(program=program, place=place))
        (place / "pgbench").chmod(0o755)
        command = [sys.executable, "-m", "dbtune", "load", "load.yml", "--postgres", server.dsn, "--format", "json"]
        with started(command, place) as dbtune:
            found = [play(dbtune, server, place, seconds) for _ in range(rounds)]
            step = json.loads(dbtune.communicate()[0])["steps"][0]
    means = []
    for stage, one in zip(step["stages"], found, strict=True):
        if stage["requests"] != one.ours.transactions or one.ours.latency_s is None:
            raise AssertionError(stage)
        means.append(stage["latency"]["mean_s"] / one.ours.latency_s)
    print()
    report("mean latency of dbtune load", "what pgbench says of the same run", means)
    report("throughput of dbtune load", "pgbench on the same script", [one.ratio for one in found])


def playbook(rounds: int, seconds: int) -> str:
    stages = ", ".join([f"{{duration: {2 * seconds}s, clients: {CLIENTS}}}"] * rounds)
    return (
        "version: 1\nname: bench\nsteps:\n- load:\n    scripts: {select: {file: select.sql}}\n"
        f"    stages: [{stages}]\n    warm_up: {WARM_UP_S}s\n"
    )


def play(dbtune: subprocess.Popen[str], server: EmbeddedPostgres, place: Path, seconds: int) -> Round:
    """One stage, with a pgbench alone beside it: as a person would run it, measuring latencies (-P)."""
    mark, parent = stage_ready(dbtune, place)
    # The parent of its pgbench ends that should dbtune be killed; they are a group of their own.
    ours = Side((dbtune.pid, parent), mark)
    threads = min(CLIENTS, os.cpu_count() or 1)
    command = [str(place / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(threads)]
    command += ["-T", str(2 * seconds), "-P", "1000", "-f", str(place / "select.sql"), server.dsn]
    with started(command, place) as alone:
        theirs = Side((alone.pid,), alone.pid)
        while not ready(place, theirs.mark).exists():
            wait(alone)
        spent_s = take_turns(ours, theirs, place, 2 * seconds)
        said = parse_summary(alone.communicate()[0])
    own = place / f"said.{mark}"
    while (summary := parse_summary(own.read_text())) is None:
        wait(dbtune)
    if said is None:
        raise AssertionError("pgbench did not run to its end")
    found = Round(summary, said, *spent_s)
    print(f"{found.ratio:.3f}", end=" ", flush=True)
    return found


def ready(place: Path, mark: int) -> Path:
    return place / f"ready.{mark}"


def stage_ready(dbtune: subprocess.Popen[str], place: Path) -> tuple[int, int]:
    """The mark of the pgbench that dbtune has started, and its parent."""
    while not (marks := list(place.glob("ready.*"))):
        wait(dbtune)
    return int(marks[0].suffix[1:]), int(marks[0].read_text())


def take_turns(ours: Side, theirs: Side, place: Path, seconds: float) -> tuple[float, float]:
    """How long each could work."""
    sides = (ours, theirs)
    spent_s = dict.fromkeys(sides, 0.0)
    for side in sides:
        side.send(signal.SIGSTOP)
        ready(place, side.mark).unlink()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for side in random.sample(sides, 2):
            start = time.monotonic()
            side.send(signal.SIGCONT)
            time.sleep(min(TURN_S, max(end - start, 0.0)))
            side.send(signal.SIGSTOP)
            spent_s[side] += time.monotonic() - start
    for side in sides:
        side.send(signal.SIGCONT)
    return spent_s[ours], spent_s[theirs]


@contextmanager
def started(command: list[str], place: Path) -> Iterator[subprocess.Popen[str]]:
    """In a session of its own, as dbtune starts pgbench: Linux shares the processors out by session."""
    environment = os.environ | {"DBTUNE_PGBENCH": str(place / "pgbench")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=place, env=environment,
        start_new_session=True,
    ) as process:  # fmt: skip
        yield process


def wait(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        raise AssertionError(process.communicate())
    time.sleep(0.005)


def report(what: str, against: str, ratios: list[float]) -> None:
    ratios.sort()
    # Between these order statistics the median lies with 95 % confidence, whatever the distribution.
    reach = 1.96 * math.sqrt(len(ratios)) / 2
    low, high = (
        ratios[min(max(round(len(ratios) / 2 + side) - (side > 0), 0), len(ratios) - 1)] for side in (-reach, reach)
    )
    print(f"{what}: the median lies between {low:.3f} and {high:.3f} (95% confidence)")
    print(
        f"ratio {statistics.median(ratios):.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}) over {len(ratios)} rounds:"
        f" {what} against {against}"
    )


if __name__ == "__main__":
    main()
