"""The parent of a load generator: it ends the program, and removes its directory, once dbtune is gone.

dbtune starts this file as a script (`python -I -S keeper.py`), so it uses the standard library only. Its standard
input is a pipe from dbtune: one line of JSON, then nothing until the end of the file, which comes however dbtune
ends, SIGKILL included. Standard output and error are the program's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys

PATIENCE_S = 3.0
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Linux: the program ends when this keeper is killed. Elsewhere only dbtune's own end of the pipe does it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    # dbtune decides when the program ends, not the terminal whose Ctrl-C reaches everybody.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    job = json.loads(sys.stdin.buffer.readline() or b"null")
    if job is None:
        return 0
    ended = _hear_of_children()
    try:
        child = subprocess.Popen(  # noqa: S603
            job["command"],
            stdin=subprocess.DEVNULL,
            cwd=job["cwd"],
            preexec_fn=_prepare,  # noqa: PLW1509 - this process has one thread
        )
    except OSError as error:
        print(f"{job['command'][0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 127
    status, deserted = _wait(child, ended)
    if deserted and job["remove"]:
        shutil.rmtree(job["remove"], ignore_errors=True)
    return status if status >= 0 else 128 - status


def _prepare() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _die_with_parent()


def _hear_of_children() -> int:
    """A file that can be read once a child has ended: looking for that from time to time would take from its time."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _wait(child: subprocess.Popen[bytes], ended: int) -> tuple[int, bool]:
    """The child's status, and whether dbtune is gone. `ended` can be read once a child has ended.

    On the pipe `i` asks for an early end, as Ctrl-C does (k6 sums up then), and `t` for the end at once.
    """
    while (status := child.poll()) is None:
        readable = select.select([0, ended], [], [])[0]
        if ended in readable:
            os.read(ended, 64)
            continue
        word = os.read(0, 1)
        if word == b"i":
            child.send_signal(signal.SIGINT)
        else:
            return _end(child), not word
    return status, False


def _end(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(PATIENCE_S)
    child.kill()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
