"""One running server under its guardian: start, wait until it answers, stop. Which server it is, the callers know."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dbtune.core.errors import Unreachable
from dbtune.servers.embedded import guardian
from dbtune.servers.embedded.accounts import Account
from dbtune.servers.embedded.guardian import Event, Job
from dbtune.servers.embedded.places import Place

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
LOG_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class Program:
    """`setup` are run one after the other, then `serve`; `stop` are (signal, seconds of patience)."""

    title: str
    serve: list[str]
    stop: list[tuple[int, float]]
    setup: list[list[str]] = field(default_factory=list)


def hand_over(place: Place, files: dict[str, str], account: Account | None) -> None:
    """Writes the files into the server's directory, readable for its account alone, and gives it the directory."""
    for name, text in files.items():
        path = place.directory / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        if account is not None:
            os.chown(path, account.uid, account.gid)
    if account is not None:
        os.chown(place.directory, account.uid, account.gid)


@contextlib.contextmanager
def preparing(title: str) -> Iterator[None]:
    """Around everything up to the first answer; not around what is then done with the server."""
    try:
        yield
    except OSError as error:
        raise Unreachable(
            f"the embedded {title} could not be prepared: {error}", hint="check the free space and TMPDIR"
        ) from error


@contextlib.contextmanager
def running(program: Program, place: Place, account: Account | None, is_ready: Callable[[], bool]) -> Iterator[int]:
    """The server's pid, once `is_ready`; the server has ended and its directory is gone afterwards.

    Raises Unreachable with the end of the server's own log.
    """
    job = Job(
        owner_pid=os.getpid(),
        directory=str(place.directory),
        record=str(place.record),
        record_fd=place.record_fd,
        uid=account.uid if account else None,
        gid=account.gid if account else None,
        setup=program.setup,
        serve=program.serve,
        stop=program.stop,
        # Neither PG* variables nor a preloaded library of ours shall reach the server. C: its messages in English.
        environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
    )
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-I", "-S", guardian.__file__],
        bufsize=0,  # select() must see whatever has not been read
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(place.record_fd,),
        start_new_session=True,
        cwd="/",
    )
    try:
        yield _started(process, job, program.title, is_ready)
    finally:
        _stopped(process)


def _started(process: subprocess.Popen[bytes], job: Job, title: str, is_ready: Callable[[], bool]) -> int:
    if process.stdin is None:
        raise AssertionError
    process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
    process.stdin.flush()
    pid, deadline = 0, time.monotonic() + START_TIMEOUT_S
    while not (pid and is_ready()):
        event = _next_event(process, 0.01)
        if event is not None and event.what == "started":
            pid = event.pid
        elif event is not None:
            raise _not_started(title, event, Path(job.directory))
        if time.monotonic() > deadline:
            raise _not_started(title, Event("late", detail=f"not within {START_TIMEOUT_S:g} s"), Path(job.directory))
    return pid


def _next_event(process: subprocess.Popen[bytes], pause_s: float) -> Event | None:
    if process.stdout is None or not select.select([process.stdout], [], [], pause_s)[0]:
        return None
    line = process.stdout.readline()
    return Event(**json.loads(line)) if line else Event("failed", detail="its guardian has ended")


def _not_started(title: str, event: Event, directory: Path) -> Unreachable:
    lines = [event.detail] if event.detail else []
    for log in ("setup.log", "server.log"):
        with contextlib.suppress(OSError):
            text = (directory / log).read_text(encoding="utf-8", errors="replace")
            lines += [line for line in text.splitlines() if line.strip()][-LOG_TAIL_LINES:]
    said = "\n  ".join(lines) or f"exit status {event.status}, and no word in its log"
    return Unreachable(
        f"the embedded {title} did not start:\n  {said}",
        hint=f"check the settings, the free space in {directory.parent} and the memory",
    )


def _stopped(process: subprocess.Popen[bytes]) -> None:
    """The end of the pipe is the word to stop. The guardian removes the directory; else the place's owner does."""
    try:
        process.communicate(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
