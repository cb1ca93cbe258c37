"""Sessions: every one is named, bounded in time, and read-only unless told otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psycopg
from psycopg import conninfo
from psycopg.rows import tuple_row

from dbtune.core.errors import Misused, Unreachable, Unsupported
from dbtune.core.questions import Server
from dbtune.core.secrets import unescaped
from dbtune.servers.postgres.errors import connection_error, describe_target, translated
from dbtune.servers.postgres.marking import MarkedCursor
from dbtune.servers.postgres.pooler import refuse_shared
from dbtune.servers.postgres.search_path import OURS, REMEMBERED

Connection = psycopg.Connection[tuple[object, ...]]

OLDEST = 130000
CONNECT_TIMEOUT_S = 10

_SETTINGS = {
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",
    # Notices ("index ... does not exist, skipping") are for psql users; what matters comes as results.
    "client_min_messages": "warning",
    # A role or a database may have its own; answers and definitions would read differently, or not at all.
    "client_encoding": "UTF8",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; 0 is no limit. `work_s` is statement_timeout, `lock_s` lock_timeout."""

    work_s: float = 30.0
    lock_s: float = 2.0


UNBOUNDED = Limits(work_s=0, lock_s=0)
"""For a concurrent build, which waits for older snapshots without blocking anybody (a lock_timeout would kill it)."""


def resolve_dsn(given: str | None) -> str:
    """What the person named, else DATABASE_URL, else libpq's own PG* variables and service files.

    Raises Misused when none of them names a server, Unreachable where the driver would misread the URL's password.
    """
    dsn = given or os.environ.get("DATABASE_URL")
    if dsn is not None:
        if mark := unescaped(dsn, "@/"):
            raise Unreachable(
                f"the password in the URL of PostgreSQL has a {mark}, which ends it",
                hint=f"write %{ord(mark):X} for it, or set PGPASSWORD",
            )
        return dsn.replace("postgresql+psycopg://", "postgresql://", 1)
    if any(name in os.environ for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGUSER", "PGPORT")):
        return ""
    raise Misused(
        "no PostgreSQL is named", hint="give --postgres URL, or set DATABASE_URL or PGHOST; --embedded starts one"
    )


def connect(dsn: str, *, read_only: bool = True, limits: Limits | None = None) -> Connection:
    """An autocommit session under dbtune's name, on dbtune's own search path (see `search_path`).

    Raises Unreachable, Refused, or Unsupported: below PostgreSQL 13, or behind a pooler that lends it to others.
    """
    limits = limits or Limits()
    target = describe_target(dsn)
    connection = _open(dsn, target)
    if connection.info.server_version < OLDEST:
        connection.close()
        raise Unsupported(
            f"{target} runs PostgreSQL {connection.info.server_version // 10000}; dbtune needs 13 or later",
            hint="upgrade the server, or use an older tool",
        )
    with translated(f"preparing the session on {target}"):
        if not _lay_down(connection, limits, connection.info.backend_pid, read_only=read_only):
            try:
                refuse_shared(connection, lambda: _open(dsn, target), target)
            except Unsupported:
                connection.close()
                raise
            _lay_down(connection, limits, None, read_only=read_only)
        # Where the server, the database or the role has limits of its own, they would end a session that holds the
        # lock while an index is built, or the build itself. By name, since the versions know different ones.
        connection.execute(
            "/* dbtune */ select set_config(name, '0', false) from pg_settings"
            " where name in ('idle_session_timeout', 'transaction_timeout') and setting <> '0'"
        )
    return connection


def _open(dsn: str, target: str) -> Connection:
    # Options in the startup packet would be lost behind PgBouncer: settings are made by statements instead.
    try:
        return psycopg.connect(
            dsn,
            autocommit=True,
            row_factory=tuple_row,
            cursor_factory=MarkedCursor,
            application_name="dbtune",
            prepare_threshold=None,
            connect_timeout=_connect_timeout(dsn),
        )
    except psycopg.Error as error:
        raise connection_error(error, target) from error


def _lay_down(connection: Connection, limits: Limits, backend: int | None, *, read_only: bool) -> bool:
    """The settings of the session; False, and none of them, where another process than `backend` answers.

    That is so behind a pooler, which gives a number of its own to each client. The statement is read on the role's
    path still, which it remembers: None stands for it, and ours comes after that.
    """
    settings = {
        REMEMBERED: None,
        "search_path": OURS,
        **_SETTINGS,
        "statement_timeout": f"{int(limits.work_s * 1000)}ms",
        "lock_timeout": f"{int(limits.lock_s * 1000)}ms",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    laid_down = connection.execute(
        "/* dbtune */ select pg_catalog.count(pg_catalog.set_config("
        "name, coalesce(value, pg_catalog.current_setting('search_path')), false))"
        " from rows from (pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[]))"
        " as wanted (name, value)"
        " where pg_catalog.pg_backend_pid() operator(pg_catalog.=) coalesce(%s, pg_catalog.pg_backend_pid())",
        (list(settings), list(settings.values()), backend),
    )
    return laid_down.fetchone() == (len(settings),)


def look_at(connection: Connection, *, has_redis: bool = False) -> Server:
    """The facts that every step may rely on."""
    with translated("asking the server who it is"):
        row = connection.execute(
            "/* dbtune */ select current_database()::text, current_user::text, rolsuper, pg_is_in_recovery(),"
            " (select pg_has_role(datdba, 'USAGE') from pg_database where datname = current_database())"
            " from pg_roles where rolname = current_user"
        ).fetchone()
    if row is None:
        raise Unsupported("the server does not know its own role", hint="reconnect: the role may have been dropped")
    return Server(
        version=connection.info.server_version,
        database=str(row[0]),
        user=str(row[1]),
        is_superuser=bool(row[2]),
        in_recovery=bool(row[3]),
        owns_database=bool(row[4]),
        has_redis=has_redis,
    )


def _connect_timeout(dsn: str) -> int | None:
    """A bound on connecting unless the person set one."""
    try:
        given = conninfo.conninfo_to_dict(dsn).get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT")
    except psycopg.ProgrammingError:
        return None
    try:
        return CONNECT_TIMEOUT_S if given is None else int(given)
    except ValueError as error:
        raise Misused(f'connect_timeout is a number of seconds, not "{given}"', hint="connect_timeout=10") from error
