"""From psycopg's errors to dbtune's: what failed, on what, what to do. Passwords never pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import conninfo, errors

from dbtune.core.errors import ChangeFailed, DbtuneError, Refused, TargetError, Unreachable, Unsupported
from dbtune.core.secrets import mask_password

_QUOTED = re.compile(r'"[^"]*"')


def describe_target(dsn: str) -> str:
    """`dbname@host:port` as a person recognises it, without user's password or options."""
    try:
        values = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "postgres"
    host, port = values.get("host") or values.get("service") or "localhost", values.get("port")
    place = f"{host}:{port}" if port else str(host)
    return f"{values.get('dbname') or values.get('user') or 'postgres'}@{place}"


def connection_error(error: psycopg.Error, target: str) -> TargetError:
    """Why a connection could not be had. The server's own text decides: libpq gives no code for most of these."""
    text = mask_password(str(error)).strip()
    if isinstance(error, psycopg.ProgrammingError):
        # libpq did not get as far as connecting; what it quotes may be a password.
        said = _last_line(text)
        return Unreachable(
            f"this is not a PostgreSQL URL: {_QUOTED.sub('***', said) if 'encode' in said else said}",
            hint="postgresql://user@host:5432/database; in a password, %25 stands for %, %20 for a space",
        )
    if "password authentication failed" in text or "no password supplied" in text:
        return Refused(
            f"{target} refused the password: {_last_line(text)}",
            hint="set PGPASSWORD, ~/.pgpass or the password in the URL",
        )
    if "pg_hba.conf" in text or "is not permitted to log in" in text or "permission denied for database" in text:
        return Refused(f"{target} refused the connection: {_last_line(text)}", hint="ask for an entry in pg_hba.conf")
    if "does not exist" in text:
        return Refused(f"{target}: {_last_line(text)}", hint="check the database and the role in the URL")
    if "too many" in text or "remaining connection slots" in text:
        return Refused(f"{target} has no free connection: {_last_line(text)}", hint="wait, or raise max_connections")
    return Unreachable(
        f"{target} cannot be reached: {_last_line(text)}",
        hint="check the host, the port and that the server runs; DATABASE_URL or --postgres names it",
    )


def server_error(error: psycopg.Error, doing: str) -> DbtuneError:
    """What a failed statement means for a person."""
    text = mask_password(error.diag.message_primary or _last_line(str(error)))
    hint = error.diag.message_hint
    if isinstance(error, errors.InsufficientPrivilege):
        return Refused(f"{doing}: {text}", hint=hint or "grant the privilege to this role, or use another role")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return Unsupported(f"{doing}: {text}", hint="this is a replica or a read-only session: connect to the primary")
    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown) or _is_lost(error):
        return Unreachable(f"{doing}: the connection was lost: {text}", hint="look into the server's log; run it again")
    return ChangeFailed(f"{doing}: {text}" + (f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""), hint=hint)


def _is_lost(error: psycopg.Error) -> bool:
    """Neither the server's word nor the driver's complaint about how it is used."""
    return error.sqlstate is None and not isinstance(error, psycopg.ProgrammingError | psycopg.DataError)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Around every use of the driver: `doing` names what was tried, on what."""
    try:
        yield
    except psycopg.Error as error:
        raise server_error(error, doing) from error


def _last_line(text: str) -> str:
    # libpq's own questions to the reader ("\tIs the server running ...?") follow indented; they are our hint.
    lines = [line for line in text.strip().splitlines() if line.strip() and not line.startswith("\t")]
    return (
        re.sub(r"^(connection failed: )?(connection to server .*? failed: )?(FATAL:\s*)?", "", lines[-1])
        if lines
        else ""
    )
