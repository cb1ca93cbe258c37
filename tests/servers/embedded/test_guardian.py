"""However dbtune ends, its servers end and their directories go: each way is tried with a real process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from patience import PATIENCE_S, until

from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.guardian import start_time
from dbtune.servers.embedded.places import end_orphans, server_root
from dbtune.servers.embedded.valkey import embedded_valkey

BOTH_SERVERS = """
import json, os, sys, time
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.embedded.valkey import embedded_valkey
with embedded_postgres() as postgres, embedded_valkey() as valkey:
    servers = [[server.pid, str(server.directory)] for server in (postgres, valkey)]
    print(json.dumps(servers), flush=True)
    WHAT_THEN
"""

# Long enough for a loaded machine; what is waited for normally takes a fraction of a second.


@dataclass(frozen=True, slots=True)
class Seen:
    pid: int
    started: str
    directory: Path

    def is_running(self) -> bool:
        return start_time(self.pid) == self.started

    def is_gone(self) -> bool:
        record = self.directory.with_suffix(".lock")
        return not self.is_running() and not self.directory.exists() and not record.exists()


@pytest.fixture(autouse=True)
def own_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, short_directory: Path
) -> Iterator[Path]:
    """A root that no other run looks into for orphans."""
    # pytest chooses its own temporary directory at the first use, which must not be within ours.
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="dbtune-test-", dir=short_directory) as base:
        Path(base).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", base)
        monkeypatch.setenv("TMPDIR", base)
        yield server_root(server_account())


@contextlib.contextmanager
def dbtune_with_servers(what_then: str = "time.sleep(120)") -> Iterator[tuple[subprocess.Popen[str], list[Seen]]]:
    script = BOTH_SERVERS.replace("WHAT_THEN", what_then)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            servers = []
            for pid, directory in json.loads(process.stdout.readline()):
                started = start_time(pid)
                assert started is not None
                servers.append(Seen(pid, started, Path(directory)))
            yield process, servers
        finally:
            process.kill()


@pytest.mark.parametrize("ending", ["pass", "raise RuntimeError", "sys.exit(3)", "os._exit(3)", "os.abort()"])
def test_nothing_is_left_when_dbtune_ends_by_itself(ending: str) -> None:
    with dbtune_with_servers(ending) as (process, servers):
        process.wait(PATIENCE_S)
        until(lambda: all(server.is_gone() for server in servers), "the servers are gone")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_dbtune_is_ended_by_a_signal(number: signal.Signals) -> None:
    with dbtune_with_servers() as (process, servers):
        assert all(server.is_running() for server in servers)
        process.send_signal(number)
        process.wait(PATIENCE_S)
        until(lambda: all(server.is_gone() for server in servers), "the servers are gone")


def test_a_forked_child_that_holds_the_pipe_keeps_no_server_alive() -> None:
    holder = "child = os.fork() or time.sleep(120)\n    time.sleep(120)"
    script = f"print(os.getpid(), flush=True)\n    {holder}"
    with dbtune_with_servers(script) as (process, servers):
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        until(lambda: len(children_of(process.pid)) > len(servers), "a child of it runs")
        forked = max(children_of(process.pid))
        try:
            process.kill()
            process.wait(PATIENCE_S)
            until(lambda: all(server.is_gone() for server in servers), "the servers are gone")
            assert start_time(forked) is not None
        finally:
            os.kill(forked, signal.SIGKILL)


def test_dbtune_killed_in_the_midst_of_initdb_leaves_nothing(own_root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BOTH_SERVERS.replace("WHAT_THEN", "pass")], stdout=subprocess.DEVNULL
    ) as process:
        until(lambda: any(own_root.glob("*/data/PG_VERSION")), "a cluster is made")
        process.kill()
    until(lambda: not list(own_root.iterdir()), "nothing is left")


def test_a_killed_guardian_does_not_keep_dbtune_from_ending_its_server() -> None:
    with embedded_valkey() as server:
        started = start_time(server.pid)
        os.kill(parent_of(server.pid), signal.SIGKILL)
        assert start_time(server.pid) == started
    assert start_time(server.pid) != started
    assert not server.directory.exists()


def test_the_next_start_ends_the_orphans_of_a_dbtune_that_was_killed_with_its_guardians() -> None:
    with dbtune_with_servers() as (process, servers):
        guardians = [parent_of(server.pid) for server in servers]
        # Stopped first, so that no guardian can act on the death of the other or of dbtune.
        for pid in guardians:
            os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait(PATIENCE_S)
        for pid in guardians:
            os.kill(pid, signal.SIGKILL)
        assert all(server.is_running() for server in servers)
        until(lambda: all(start_time(pid) is None for pid in guardians), "the guardians are gone")
        with embedded_valkey() as another:
            assert all(server.is_gone() for server in servers)
            assert start_time(another.pid) is not None


def test_a_server_of_a_living_dbtune_is_no_orphan(own_root: Path) -> None:
    with dbtune_with_servers() as (_, servers):
        assert end_orphans(own_root) == 0
        assert all(server.is_running() for server in servers)


@pytest.mark.parametrize("started", ["another time", None])
def test_a_process_that_only_bears_the_pid_of_an_orphan_is_left_alone(tmp_path: Path, started: str | None) -> None:
    with subprocess.Popen(["sleep", "120"]) as bystander:
        record, directory = tmp_path / "0123456789abcdef.lock", tmp_path / "0123456789abcdef"
        directory.mkdir()
        record.write_text(json.dumps({"pid": bystander.pid, "started": started}))
        assert end_orphans(tmp_path) == 1
        assert bystander.poll() is None
        assert not list(tmp_path.iterdir())
        bystander.kill()


@pytest.mark.parametrize("text", ["", "no json", "[1]", '{"pid": -1, "started": "x"}'])
def test_a_record_that_says_nothing_costs_no_process_its_life(tmp_path: Path, text: str) -> None:
    (tmp_path / "0123456789abcdef.lock").write_text(text)
    (tmp_path / "0123456789abcdef").mkdir()
    end_orphans(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_process_has_one_start_time_and_an_ended_one_has_none() -> None:
    assert start_time(os.getpid()) == start_time(os.getpid())
    with subprocess.Popen(["sleep", "120"]) as process:
        assert start_time(process.pid) is not None
        process.kill()
        process.wait()
        assert start_time(process.pid) is None


def parent_of(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)


def children_of(pid: int) -> list[int]:
    shown = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in shown.splitlines()]
    return [int(child) for parent, child in pairs if int(parent) == pid]
