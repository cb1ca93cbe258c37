"""A load generator under its keeper: started, listened to, and ended, also when dbtune itself is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from dbtune.servers.load import keeper

_MOST_LINES = 10_000
PATIENCE_S = 10.0


class Child:
    """One program under way. What it says on standard error is in `said`; `hear` is told each line as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], hear: Callable[[str], None] | None) -> None:
        self.process = process
        self.said: deque[str] = deque(maxlen=_MOST_LINES)
        self._hear = hear
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        if self.process.stderr is None:
            return
        for line in self.process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            self.said.append(text)
            if self._hear is not None:
                self._hear(text)

    def wait(self, timeout_s: float) -> int | None:
        """Its status, or None while it runs."""
        # Standard error ends with the program: waiting for that wakes nobody, where a process is looked at 20 times
        # a second, beside a load that wants the processors.
        self._listener.join(timeout_s)
        if self._listener.is_alive():
            # Something that the program started may hold the pipe for longer.
            return self.process.poll()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_end(self) -> None:
        """Ctrl-C, to the program alone."""
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.write(b"i")

    def end(self) -> None:
        """By a word to its keeper; should that be gone, by the process group."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.write(b"t")
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(keeper.PATIENCE_S + PATIENCE_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._listener.join(PATIENCE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    directory: Path,
    *,
    remove: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    hear: Callable[[str], None] | None = None,
) -> Iterator[Child]:
    """The program in `directory`; `remove` is what goes should dbtune be killed. It has ended after the block."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", keeper.__file__],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.PIPE,
        env=dict(environment),
        # A process group of its own: the terminal's Ctrl-C reaches dbtune, which decides.
        start_new_session=True,
    )
    child = Child(process, hear)
    job = {"command": [str(word) for word in command], "cwd": str(directory), "remove": str(remove)}
    try:
        with contextlib.suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.write(json.dumps(job).encode() + b"\n")
        yield child
    finally:
        child.end()
