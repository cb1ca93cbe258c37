"""A private PostgreSQL: fresh, with pg_stat_statements and auto_explain loaded, gone afterwards."""

from __future__ import annotations

import contextlib
import functools
import re
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from dbtune.core.errors import Misused, Unsupported
from dbtune.servers.embedded.accounts import Account, can_run, server_account
from dbtune.servers.embedded.binaries import postgres_version, wheel_postgres
from dbtune.servers.embedded.clusters import copying, is_whole, keep, kept_cluster
from dbtune.servers.embedded.places import Place, new_place
from dbtune.servers.embedded.ports import free_port
from dbtune.servers.embedded.process import Program, hand_over, preparing, running

SUPERUSER = "postgres"
SOCKET_PORT = 5432
_FRESH = "fresh"
# Parallel queries put their hash tables there; containers usually get 64 MB.
LEAST_SHARED_MEMORY_BYTES = 256 * 1024 * 1024

# Fast, then immediate: the data are thrown away, nobody waits for a long checkpoint.
STOP: list[tuple[int, float]] = [(signal.SIGINT, 3.0), (signal.SIGQUIT, 6.0)]

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "shared_preload_libraries": "pg_stat_statements,auto_explain",
        "pg_stat_statements.track": "top",
        "pg_stat_statements.save": "off",
        "track_io_timing": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
    }
)


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """`dsn` is the superuser's, on the database `postgres`; `bin_dir` has psql and pgbench of the same version."""

    dsn: str = field(repr=False)
    bin_dir: Path
    pid: int
    directory: Path
    log: Path


@contextlib.contextmanager
def embedded_postgres(
    settings: Mapping[str, str] = MappingProxyType({}),
    *,
    bin_dir: Path | None = None,
    tcp: bool = False,
    initdb: Sequence[str] = (),
    place_below: Path | None = None,
    from_kept: bool = False,
) -> Iterator[EmbeddedPostgres]:
    """A server of one's own, from the wheel or (13 to 18) from `bin_dir`, in under 3 s.

    It listens on a socket in a directory that only its account and root may enter; with `tcp` also on a random port
    of the loopback, behind a generated password. `initdb` are options of it; one that begins with `--locale` stands in
    the place of our own. The server lives below `place_below`, where that suits. `from_kept` copies the cluster that a
    former start has kept, which spares initdb; for servers without TCP, as it knows no password.
    Raises Unsupported, Unreachable with the server's own words.
    """
    with contextlib.ExitStack() as stack:
        with preparing("PostgreSQL"):
            account = server_account()
            programs = wheel_postgres(account) if bin_dir is None else _checked(bin_dir, account)
            version = postgres_version(programs)
            place = stack.enter_context(new_place(account, place_below))
            port, password = free_port() if tcp else SOCKET_PORT, secrets.token_urlsafe(24)
            configuration = place.directory / "postgresql.conf"
            files = {configuration.name: _configuration(settings, place, port, tcp=tcp), "password": password}
            hand_over(place, files, account)
            data = place.directory / "data"
            kept = kept_cluster(programs, version.text, initdb) if from_kept and not tcp else None
            program = Program(
                title=f"PostgreSQL {version.major}",
                setup=_setup(_initdb(programs, place, version.major, initdb), place, kept),
                serve=[str(programs / "postgres"), "-D", str(data), "-c", f"config_file={configuration}"],
                stop=STOP,
            )
            ready = functools.partial(_is_ready, data / "postmaster.pid")
            pid = stack.enter_context(running(program, place, account, ready))
            if kept is not None and (fresh := place.directory / _FRESH).is_dir():
                keep(fresh, kept)
                shutil.rmtree(fresh, ignore_errors=True)
        host = f"{SUPERUSER}:{password}@127.0.0.1:{port}" if tcp else f"{SUPERUSER}@"
        query = "" if tcp else f"?host={quote(str(place.directory), safe='')}&port={port}"
        yield EmbeddedPostgres(
            dsn=f"postgresql://{host}/postgres{query}",
            bin_dir=programs,
            pid=pid,
            directory=place.directory,
            log=place.directory / "server.log",
        )


def _checked(bin_dir: Path, account: Account | None) -> Path:
    for name in ("initdb", "postgres"):
        if not can_run(bin_dir / name, account):
            who = f" as {account.name}" if account else ""
            raise Unsupported(f"{bin_dir / name} cannot be run{who}", hint="name the bin directory of a PostgreSQL")
    return bin_dir


def _initdb(programs: Path, place: Place, version: int, options: Sequence[str]) -> list[str]:
    # The built-in provider has the same C.UTF-8 everywhere; the C library's is missing on macOS and old Linux.
    locale = (
        ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if version >= 17
        else ["--locale=C.UTF-8"]
    )
    return [
        str(programs / "initdb"),
        f"--pgdata={place.directory / 'data'}",
        f"--username={SUPERUSER}",
        f"--pwfile={place.directory / 'password'}",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        *([] if any(option.startswith("--locale") for option in options) else locale),
        *options,
    ]


def _setup(initdb: list[str], place: Place, kept: Path | None) -> list[list[str]]:
    """The commands that make the data directory: initdb, or a copy of what it once made."""
    data = place.directory / "data"
    if kept is None:
        return [initdb]
    if is_whole(kept):
        return [copying(kept / "cluster", data)]
    without_password = [word for word in initdb if not word.startswith(("--pwfile", "--auth-host"))]
    return [[*without_password, "--auth-host=reject"], copying(data, place.directory / _FRESH)]


def _configuration(settings: Mapping[str, str], place: Place, port: int, *, tcp: bool) -> str:
    """Our settings after those that initdb found. On the command line ALTER SYSTEM could not override them."""
    ours = {
        **SETTINGS,
        "unix_socket_directories": str(place.directory),
        "unix_socket_permissions": "0700",
        "listen_addresses": "127.0.0.1" if tcp else "",
        "port": str(port),
        **_shared_memory(),
        **settings,
    }
    lines = [f"include '{place.directory}/data/postgresql.conf'"]
    for name, value in ours.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) or "\n" in value:
            raise Misused(f"{name!r} = {value!r} is no setting of PostgreSQL", hint="names as in pg_settings")
        lines.append("{} = '{}'".format(name, value.replace("\\", "\\\\").replace("'", "''")))
    return "\n".join(lines) + "\n"


def _shared_memory() -> dict[str, str]:
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").total < LEAST_SHARED_MEMORY_BYTES:  # noqa: S108 - asked for its size only
            return {"dynamic_shared_memory_type": "mmap"}
    return {}


def _is_ready(pid_file: Path) -> bool:
    """The eighth line of postmaster.pid is the server's state."""
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"
