"""dbtune in a process of its own, without importing it anew each time.

`run` answers as `subprocess.run([sys.executable, "-m", "dbtune", ...])` would: another process, its own descriptors,
environment, directory and exit code. It is forked from one that has imported everything, which takes a twentieth of
the time. What depends on how a process is started, named or killed starts it in the ordinary way.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

_REQUEST_BYTES = 1 << 20
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
        request = {
            "arguments": command[3:],
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
        }
        mine, theirs = socket.socketpair()
        with mine, theirs:
            _nursery().ask(request, [given.fileno(), out.fileno(), err.fileno(), theirs.fileno()])
            theirs.close()
            code = _answer(mine, timeout, command)
        return subprocess.CompletedProcess(command, code, _text(out), _text(err))


def _answer(mine: socket.socket, timeout: float, command: list[str]) -> int:
    """The first line is the process's number, the second its exit code."""
    mine.settimeout(timeout)
    said = b""
    try:
        while said.count(b"\n") < 2:
            more = mine.recv(64)
            assert more, "the process behind the tests is gone"
            said += more
    except TimeoutError:
        os.kill(int(said.split(b"\n")[0]), signal.SIGKILL)
        raise subprocess.TimeoutExpired(command, timeout) from None
    return int(said.split(b"\n")[1])


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
