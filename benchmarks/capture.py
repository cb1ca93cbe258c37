"""What `dbtune baseline capture` takes beside its window: on the sample, and on 10,000 tables.

Both databases are on one private server: the sample at a twentieth of its size, with its traffic of both forms in
pg_stat_statements, and 10,000 tables with 30,000 indexes. pg_stat_statements holds 5,000 entries. Whole processes are
timed, their window (5 s, six sub-windows) taken off, by turns with `psql` that only connects and says `select 1`. The
number of pairs may be given.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from audit_large_catalog import SETTINGS, TABLES, fill_statements, make_database

from dbtune.demo.load import load
from dbtune.demo.traffic import drive
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
WINDOW_S = 5.0
LONGEST_S = 1.0
SCALE = 0.05


def seconds(command: Sequence[str], directory: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=directory)
    return time.perf_counter() - start


def make_sample(server: EmbeddedPostgres) -> str:
    """Returns its DSN."""
    dsn = urlsplit(server.dsn)._replace(path="/sample").geturl()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("create database sample")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create extension pg_stat_statements")
    load(dsn, SCALE)
    drive(dsn, None, "slow", duration_s=2.0, ramp_s=0.1, clients=2, seed=1)
    return dsn


def measure(what: str, dsn: str, server: EmbeddedPostgres) -> list[tuple[float, float]]:
    """(capture beside its window, connecting) of each pair, in seconds."""
    capture = (
        sys.executable, "-m", "dbtune", "baseline", "capture", "x", "--postgres", dsn, "--window", f"{WINDOW_S:g}s",
        "--quiet",
    )  # fmt: skip
    psql = (str(server.bin_dir / "psql"), "-X", "-d", dsn, "-c", "select 1")
    with tempfile.TemporaryDirectory() as directory:
        seconds(capture, directory)  # fills the caches of bytecode and of the server
        pairs = [(seconds(capture, directory) - WINDOW_S, seconds(psql, directory)) for _ in range(PAIRS)]
        size = Path(directory, ".dbtune", "baselines", "x.json").stat().st_size
    beside = sorted(pair[0] for pair in pairs)
    print(
        f"{what}: {statistics.median(beside):.2f} s beside the window (min {beside[0]:.2f}, max {beside[-1]:.2f}),"
        f" {size / 1e6:.1f} MB"
    )
    return pairs


def main() -> None:
    with embedded_postgres(SETTINGS) as server:
        sample = make_sample(server)
        large = make_database(server, TABLES)
        fill_statements(large)
        drive(sample, None, "slow", duration_s=2.0, ramp_s=0.1, clients=2, seed=1)
        pairs = [*measure("the sample", sample, server), *measure(f"{TABLES:,} tables", large, server)]
    kept = max(statistics.median(pair[0] for pair in part) for part in (pairs[:PAIRS], pairs[PAIRS:])) < LONGEST_S
    print(f"required: less than {LONGEST_S:g} s on both: {'kept' if kept else 'MISSED'}")
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    print(
        f"ratio {statistics.median(ratios):.1f} (min {ratios[0]:.1f}, max {ratios[-1]:.1f}) over {len(ratios)} pairs:"
        " dbtune baseline capture beside its window against psql -c 'select 1'"
    )


if __name__ == "__main__":
    main()
