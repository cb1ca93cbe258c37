"""The files in sql/postgres as the server at hand understands them: the same columns and types on every version."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import pq

from dbtune.core.resources import resource
from dbtune.servers.postgres.journal import make_tables
from dbtune.servers.postgres.queries import statement
from dbtune.servers.postgres.session import Connection

FILES = sorted(resource("sql").joinpath("postgres").glob("*.sql"))
# Several statements, which the server describes only one by one; `make_tables` runs them.
SCRIPTS = ("journal_schema",)
NAMES = sorted({path.name.split(".")[0] for path in FILES} - set(SCRIPTS))
# What psycopg reads as str, bool, int, float, datetime or JSON; beside them only arrays of these.
PLAIN = re.compile(r" (text|boolean|integer|bigint|double precision|timestamp with time zone|jsonb)(\[\])?$")


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as session:
        make_tables(session)
        yield session


def described(session: Connection, sql: str) -> list[str]:
    """`name type` of each column that the statement returns, not executing it. Raises what the server says."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", sql).replace("%%", "%")
    prepared = session.pgconn.prepare(b"", numbered.encode())
    if prepared.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.lookup((prepared.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode())(
            prepared.error_message.decode()
        )
    result = session.pgconn.describe_prepared(b"")
    types = session.execute(
        "select format_type(oid, null) from unnest(%s::oid[]) with ordinality as t(oid, place) order by place",
        ([result.ftype(place) for place in range(result.nfields)],),
    ).fetchall()
    columns = [(result.fname(place) or b"").decode() for place in range(result.nfields)]
    return [f"{column} {kind}" for column, (kind,) in zip(columns, types, strict=True)]


def test_every_statement_returns_plain_types_on_every_version(session: Connection) -> None:
    """`numeric` on one version and `bigint` on another would make Decimal of an int; so neither is left to chance."""
    found = {name: described(session, statement(name, session.info.server_version)) for name in NAMES}
    strange = {name: [column for column in columns if not PLAIN.search(column)] for name, columns in found.items()}
    assert {name: columns for name, columns in strange.items() if columns} == {}


def test_variants_that_understand_the_same_server_return_the_same(session: Connection) -> None:
    version = session.info.server_version
    for path in FILES:
        name, since = path.name.split(".")[0], re.search(r"since(\d+)", path.name)
        if name in SCRIPTS or (since and int(since[1]) > version // 10000):
            continue
        with contextlib.suppress(psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
            # Refused: it is for older servers. `statement` chose another one.
            older = described(session, path.read_text(encoding="utf-8"))
            assert older == described(session, statement(name, version)), path.name
