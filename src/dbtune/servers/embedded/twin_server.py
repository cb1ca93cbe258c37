"""The server of a twin: of the source's own version where this machine has its programs, else the wheel's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dbtune.advisor.source import Source
from dbtune.core.errors import Unreachable
from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.binaries import installed_postgres, postgres_version, wheel_postgres
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres
from dbtune.servers.embedded.process import preparing
from dbtune.servers.embedded.twin_load import unavailable
from dbtune.servers.embedded.twin_settings import initdb_options, place_in_memory, server_settings
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection, Limits, connect

PLANNING_TIMEOUT_S = 20.0
_LIMITS = Limits(work_s=PLANNING_TIMEOUT_S, lock_s=10)


@contextlib.contextmanager
def twin_server(source: Source) -> Iterator[tuple[EmbeddedPostgres, Connection]]:
    """An empty one, with the superuser's session; gone afterwards. Raises Unsupported without the embedded extra."""
    major = source.version // 10_000
    with contextlib.ExitStack() as stack:
        with preparing("PostgreSQL"):
            account = server_account()
            wheel = wheel_postgres(account)
            newest = postgres_version(wheel).major
            own = None if newest == major else installed_postgres(major, account)
        # One that does not start, or lacks what the wheel has, is not the better one.
        found = None if own is None else _suitable(stack, source, own, major)
        yield found or _started(stack, source, wheel, newest)


def open_admin(stack: contextlib.ExitStack, dsn: str) -> Connection:
    """The superuser's, who must never run what a dump has brought: a function `public.unnest(oid[])`, say."""
    session = open_session(stack, dsn, read_only=False)
    with translated("preparing the twin"):
        session.execute("/* dbtune */ set search_path = pg_catalog, pg_temp")
    return session


def open_session(stack: contextlib.ExitStack, dsn: str, *, read_only: bool) -> Connection:
    """On the path of its role: what a dump has brought, functions too, finds its names there."""
    session = stack.enter_context(contextlib.closing(connect(dsn, read_only=read_only, limits=_LIMITS)))
    stack.enter_context(users_path(session))
    return session


def _suitable(
    stack: contextlib.ExitStack, source: Source, programs: Path, major: int
) -> tuple[EmbeddedPostgres, Connection] | None:
    with contextlib.ExitStack() as attempt, contextlib.suppress(Unreachable):
        server, admin = _started(attempt, source, programs, major)
        if not unavailable(admin, source):
            stack.push(attempt.pop_all())
            return server, admin
    return None


def _started(
    stack: contextlib.ExitStack, source: Source, programs: Path, major: int
) -> tuple[EmbeddedPostgres, Connection]:
    server = stack.enter_context(
        embedded_postgres(
            server_settings(major),
            bin_dir=programs,
            initdb=initdb_options(major, is_c_collation=source.is_c_collation),
            place_below=place_in_memory(),
            from_kept=True,
        )
    )
    return server, open_admin(stack, server.dsn)
