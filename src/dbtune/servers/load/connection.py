"""Where pgbench connects to: libpq's parameters as an argument without a password, which goes by the environment."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg import conninfo

from dbtune.core.errors import DbtuneError, Misused, Unsupported

if TYPE_CHECKING:
    from dbtune.servers.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """`environment` may hold the password: it is readable for this user only, where arguments are for everybody."""

    conninfo: str
    environment: dict[str, str] = field(repr=False)
    application_name: str


def place_of(dsn: str, session: Connection, mark: str) -> Place:
    """`session` shows which host answered, `mark` tells these sessions from others. Raises Misused, Unsupported."""
    try:
        values = {name: str(value) for name, value in conninfo.conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError as error:
        raise Misused("this is not a PostgreSQL URL", hint="postgresql://user@host:5432/database") from error
    if values.pop("sslpassword", None) is not None:
        raise Unsupported(
            "pgbench cannot be given the password of a client key safely",
            hint="use a key without one, or let a service file name it (PGSERVICE)",
        )
    environment = dict(os.environ)
    password = values.pop("password", None)
    if password is not None:
        environment["PGPASSWORD"] = password
    # pgbench's libpq may look for sockets elsewhere than the driver's: both shall reach the same server.
    if session.info.host and "hostaddr" not in values:
        values |= {"host": session.info.host, "port": str(session.info.port)}
    values.setdefault("dbname", session.info.dbname)
    values.setdefault("user", session.info.user)
    values.setdefault("connect_timeout", "10")
    name = f"dbtune load {mark}"
    values["application_name"] = name
    return Place(conninfo.make_conninfo(**values), environment | {"LC_ALL": "C"}, name)


def cancel_sessions(dsn: str, application_name: str) -> None:
    """Ends what the sessions of a load that was stopped still run: a server does not notice that a client is gone."""
    from dbtune.servers.postgres.session import connect

    with contextlib.suppress(DbtuneError, psycopg.Error), connect(dsn) as session:
        session.execute(
            "/* dbtune */ select pg_cancel_backend(pid) from pg_stat_activity where application_name = %s",
            (application_name,),
        )
