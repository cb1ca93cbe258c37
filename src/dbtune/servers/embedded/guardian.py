"""The parent of one embedded server: it ends the server and removes its directory once dbtune is gone.

dbtune starts this file as a script (`python -I -S guardian.py`, in a session of its own), so it uses the standard
library only. Its standard input is a pipe from dbtune: one line of JSON (a Job), then nothing until the end of the
file, which comes however dbtune ends, SIGKILL included. Its standard output says what happened, a line (an Event) each.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

LONGEST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """What to run, and how to end it.

    `record` and `record_fd` are the locked file in which the running process is named, so that a later dbtune can end
    it should the guardian be killed as well. `uid` and `gid` are the account to run under, None for our own.
    `stop` are (signal, seconds of patience), tried in order; after the last of them comes SIGKILL.
    """

    owner_pid: int
    directory: str
    record: str
    record_fd: int
    uid: int | None
    gid: int | None
    setup: list[list[str]]
    serve: list[str]
    stop: list[tuple[int, float]]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """`what` is started, failed (a setup command, or one that could not be run at all) or exited (the server)."""

    what: str
    pid: int = 0
    status: int = 0
    detail: str = ""


class OwnerGoneError(Exception):
    """dbtune closed the pipe, or died."""


def start_time(pid: int) -> str | None:
    """When that process started, as text that no other process of this pid shares anywhere; None: it has ended."""
    if sys.platform == "linux":
        try:
            # The name stands in brackets and may hold anything, brackets and spaces included; field 22 counts from it.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return None if fields[0] in "ZX" else f"{boot} {os.readlink('/proc/self/ns/pid')} {fields[19]}"  # noqa: PTH115
        except OSError:
            return None
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC"},
    ).stdout.split(maxsplit=1)
    return None if len(shown) < 2 or shown[0].startswith("Z") else " ".join(shown[1].split())


def remove(directory: str, *, patience_s: float = 10.0) -> None:
    """Removes the tree; processes that are just ending may still write into it."""
    deadline = time.monotonic() + patience_s
    while True:
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.lexists(directory) or time.monotonic() > deadline:
            return
        time.sleep(0.05)


class Guardian:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        try:
            if self._prepare():
                self._spawn(self.job.serve, "server.log")
                self._say(Event("started", pid=self._running().pid))
                self._say(Event("exited", status=self._finish()))
            # The directory stays until dbtune has read the log.
            while True:
                self._pause(LONGEST_PAUSE_S)
        except OwnerGoneError:
            pass
        finally:
            self._stop()
            remove(self.job.directory)
            Path(self.job.record).unlink(missing_ok=True)

    def _prepare(self) -> bool:
        for command in self.job.setup:
            self._spawn(command, "setup.log")
            status = self._finish()
            if status != 0:
                self._say(Event("failed", status=status, detail=command[0]))
                return False
        return True

    def _spawn(self, command: list[str], log: str) -> None:
        with Path(self.job.directory, log).open("ab") as output:
            try:
                self.child = subprocess.Popen(  # noqa: S603
                    command,
                    cwd=self.job.directory,
                    env=self.job.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    user=self.job.uid,
                    group=self.job.gid,
                    extra_groups=None if self.job.uid is None else [],
                    umask=0o077,
                )
            except (OSError, subprocess.SubprocessError) as error:
                self._say(Event("failed", detail=f"{command[0]}: {error}"))
                raise OwnerGoneError from error
        text = json.dumps({"pid": self.child.pid, "started": start_time(self.child.pid)}).encode()
        os.ftruncate(self.job.record_fd, 0)
        os.pwrite(self.job.record_fd, text, 0)

    def _finish(self) -> int:
        """Waits for the child. Raises OwnerGoneError."""
        pause_s = 0.002
        while (status := self._running().poll()) is None:
            self._pause(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
        return status

    def _pause(self, seconds: float) -> None:
        # A process that dbtune forked may hold its end of the pipe open: its death shows in our parent too.
        if select.select([0], [], [], seconds)[0] or os.getppid() != self.job.owner_pid:
            raise OwnerGoneError

    def _running(self) -> subprocess.Popen[bytes]:
        if self.child is None:
            raise OwnerGoneError
        return self.child

    def _stop(self) -> None:
        if self.child is None:
            return
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for number, patience_s in self.job.stop:
            self.child.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(patience_s)
                return
        self.child.kill()
        self.child.wait()

    def _say(self, event: Event) -> None:
        with contextlib.suppress(OSError):
            os.write(1, json.dumps(asdict(event)).encode() + b"\n")


def _gone(_number: int, _frame: object) -> None:
    raise OwnerGoneError


def main() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _gone)
    line = sys.stdin.buffer.readline()
    if line:
        Guardian(Job(**json.loads(line))).run()


if __name__ == "__main__":
    main()
