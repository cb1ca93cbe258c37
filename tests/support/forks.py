"""dbtune in a process of its own, without importing it anew each time.

`run` answers as `subprocess.run([sys.executable, "-m", "dbtune", ...])` would, and `Started` as `subprocess.Popen`:
another process, its own descriptors, environment, directory and exit code. It is forked from one that has imported
everything, which takes a twentieth of the time. What depends on how a process is started or named starts it in the
ordinary way.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, Self, TextIO

_REQUEST_BYTES = 1 << 20
# A signal that whoever starts a process ignores is ignored there, as under nohup.
_INHERITED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_PLAYBOOK = """version: 1
name: first
steps:
  - index: {table: a, columns: [b]}
  - sql: {apply: select 1, verify: select 1}
  - explain: {sql: select $1, params: ["{{ env.HOME }}"]}
  - cache_warm: {key: "k:{id}", query: select 1 as id, ttl: 1h}
"""


def run(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    input: str = "",  # noqa: A002 - as subprocess.run calls it
    timeout: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Raises subprocess.TimeoutExpired; the process is killed then."""
    command = [sys.executable, "-m", "dbtune", *map(str, arguments)]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(input.encode())
        given.seek(0)
        with _begun(command, env, cwd, [given.fileno(), out.fileno(), err.fileno()]) as process:
            try:
                code = process.code(timeout)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, code, _text(out), _text(err))


class Started:
    """A command under way, with what tests use of subprocess.Popen; text comes from both of its streams."""

    def __init__(
        self, arguments: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | str | None = None
    ) -> None:
        self.args = [sys.executable, "-m", "dbtune", *map(str, arguments)]
        self.returncode: int | None = None
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        with Path(os.devnull).open("rb") as nothing:
            self._process = _begun(self.args, env, cwd, [nothing.fileno(), to_out, to_err])
        os.close(to_out)
        os.close(to_err)
        self.pid = self._process.pid
        self.stdout, self.stderr = os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8")
        self._said: dict[TextIO, str] = {self.stdout: "", self.stderr: ""}
        self._readers = [threading.Thread(target=self._read, args=(stream,), daemon=True) for stream in self._said]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()
        self._process.close()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._process.code(timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        for reader in self._readers:
            if reader.ident is None:
                reader.start()
        for reader in self._readers:
            reader.join(None if deadline is None else max(deadline - time.monotonic(), 0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(deadline - time.monotonic(), 1))
        return self._said[self.stdout], self._said[self.stderr]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _read(self, stream: TextIO) -> None:
        self._said[stream] = stream.read()


class _Begun:
    """What the process between tells: in the first line its child's number, in the second the exit code."""

    def __init__(self, told: socket.socket, command: list[str]) -> None:
        self._told, self._command, self._said = told, command, b""
        self.pid = int(self._line(0, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._told.close()

    def code(self, timeout: float | None) -> int:
        return int(self._line(1, timeout))

    def _line(self, number: int, timeout: float | None) -> bytes:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._said.count(b"\n") <= number:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([self._told], [], [], left)[0]:
                raise subprocess.TimeoutExpired(self._command, timeout or 0)
            more = self._told.recv(64)
            assert more, "the process behind the tests is gone"
            self._said += more
        return self._said.split(b"\n")[number]


def _begun(command: list[str], env: Mapping[str, str] | None, cwd: Path | str | None, streams: Sequence[int]) -> _Begun:
    request = {
        "arguments": command[3:],
        "env": dict(os.environ if env is None else env),
        "cwd": str(cwd or Path.cwd()),
        "ignored": [number for number in _INHERITED if signal.getsignal(number) is signal.SIG_IGN],
    }
    mine, theirs = socket.socketpair()
    with theirs:
        _nursery().ask(request, [*streams, theirs.fileno()])
    return _Begun(mine, command)


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode())


class _Nursery:
    """The other end: a process that forks for each request."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(descriptors))


@cache
def _nursery() -> _Nursery:
    return _Nursery()


def _serve(descriptor: int) -> None:
    """Until the tests are over, which closes the socket."""
    _import_everything()
    _run_once()
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those between are nobody's business
    with socket.socket(fileno=descriptor) as requests:
        while True:
            text, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
            if not text:
                return
            if os.fork() == 0:
                requests.close()
                _attend(json.loads(text), descriptors)
            for one in descriptors:
                os.close(one)


def _import_everything() -> None:
    import dbtune

    for module in pkgutil.walk_packages(dbtune.__path__, "dbtune."):
        # What cannot be imported fails in the command that needs it.
        with contextlib.suppress(Exception):
            importlib.import_module(module.name)


def _run_once() -> None:
    """Commands that reach no server: what they compile and build, no child has to build again."""
    from dbtune.__main__ import main
    from dbtune.cli.main import COMMANDS

    with tempfile.TemporaryDirectory() as place, Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        playbook = Path(place, "playbook.yml")
        playbook.write_text(_PLAYBOOK, encoding="utf-8")
        missing = f"postgresql:///none?host={place}"
        used = [["validate", str(playbook)], ["plan", str(playbook), "--postgres", missing], ["rule", "PG001"]]
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            for arguments in used + [[name, "--help"] for name in COMMANDS]:
                sys.argv = ["dbtune", *arguments]
                with contextlib.suppress(SystemExit):
                    main()


def _attend(request: Mapping[str, Any], descriptors: list[int]) -> NoReturn:
    """Waits for the process and tells its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *standard, report = descriptors
    process = os.fork()
    if process == 0:
        os.close(report)
        _become(request, standard)
    os.write(report, f"{process}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.write(report, f"{code}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, Any], standard: Sequence[int]) -> NoReturn:
    for wanted, given in enumerate(standard):
        os.dup2(given, wanted)
        os.close(given)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    sys.argv = ["dbtune", *request["arguments"]]
    from dbtune.__main__ import main

    code = 70
    try:
        code = main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
