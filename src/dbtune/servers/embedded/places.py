"""Where embedded servers live on this machine, and the end of those whose dbtune and guardian were both killed.

Below the temporary directory lies `dbtune-UID`, ours alone; in it each server has a directory and a record beside it.
The record is locked (flock) by dbtune and by the guardian, and names the running process: a record that nobody
holds any more belongs to an orphan.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dbtune.core.errors import Refused, Unreachable, Unsupported
from dbtune.servers.embedded.accounts import Account, can_pass
from dbtune.servers.embedded.guardian import remove, start_time

# sun_path holds 108 bytes on Linux and 104 on macOS, with the closing zero byte.
LONGEST_SOCKET = 107 if sys.platform == "linux" else 103
LONGEST_NAME = "/0123456789abcdef/.s.PGSQL.65535"
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """A server's directory, and its record, open and locked."""

    directory: Path
    record: Path
    record_fd: int


def server_root(account: Account | None, preferred: Path | None = None) -> Path:
    """The directory that holds all of this user's servers; made, or verified to be ours, below `preferred` if it suits.

    Raises Refused when somebody else made it, Unsupported when no temporary directory suits.
    """
    first = () if preferred is None or not preferred.is_dir() else (str(preferred),)
    for base in dict.fromkeys((*first, tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - verified below
        root = Path(base) / f"dbtune-{os.geteuid()}"
        fits = len(os.fsencode(root)) + len(LONGEST_NAME) <= LONGEST_SOCKET
        if fits and os.access(base, os.W_OK | os.X_OK) and can_pass(Path(base), account):
            return own_directory(root, 0o711 if account else 0o700)
    raise Unsupported(
        "no temporary directory suits an embedded server: its path is too long, or its account cannot reach it",
        hint="set TMPDIR to a short path that everybody may pass, such as /tmp",
    )


def own_directory(path: Path, mode: int) -> Path:
    """Makes `path`, or verifies that it is a directory of ours that only we write to. Raises Refused."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=mode)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(f"{path} is not ours", hint="remove it, or set TMPDIR to a directory of your own")
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)
    return path


@contextlib.contextmanager
def new_place(account: Account | None, preferred: Path | None = None) -> Iterator[Place]:
    """A fresh private directory below the root, once the orphans there are ended. Nothing is left of it afterwards."""
    root = server_root(account, preferred)
    end_orphans(root)
    name = secrets.token_hex(8)
    unlocked, record, directory = root / f".{name}", root / f"{name}.lock", root / name
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Locked before it bears the name that a search for orphans looks for.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        unlocked.rename(record)
        directory.mkdir(mode=0o700)
        yield Place(directory, record, descriptor)
    finally:
        # Normally the guardian has done this; it may have been killed, or never started.
        _end(record, descriptor)
        unlocked.unlink(missing_ok=True)
        os.close(descriptor)


def end_orphans(root: Path) -> int:
    """Ends every server below `root` that neither a dbtune nor a guardian holds any more; how many there were."""
    ended = 0
    for record in root.glob("*.lock"):
        try:
            descriptor = os.open(record, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_nlink:
                    _end(record, descriptor)
                    ended += 1
        finally:
            os.close(descriptor)
    return ended


def _end(record: Path, descriptor: int) -> None:
    """Ends the process that the record names, if it is still the same one, and removes the server's directory."""
    text = os.pread(descriptor, 4096, 0)
    with contextlib.suppress(ValueError):
        match json.loads(text):
            case {"pid": int(pid), "started": str(started)} if pid > 1:
                _end_process(pid, started)
    remove(str(record.with_suffix("")))
    record.unlink(missing_ok=True)


def _end_process(pid: int, started: str) -> None:
    # To PostgreSQL these are a fast and an immediate shutdown; Valkey ends at the first.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if start_time(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if start_time(pid) != started:
                return
            time.sleep(0.02)
    raise Unreachable(f"an embedded server of a former run (process {pid}) does not end", hint=f"kill -9 {pid}")
