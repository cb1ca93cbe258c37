"""The files in sql/postgres as the server at hand understands them: the same columns and types on every version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

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
COLUMNS = Path(__file__).with_name("packaged_sql_columns.txt")


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as session:
        make_tables(session)
        yield session


def described(session: Connection, sql: str) -> str:
    """`name type, …` of what the statement returns, not executing it. Raises what the server says against it."""
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
    return ", ".join(f"{column} {kind}" for column, (kind,) in zip(columns, types, strict=True)) or "nothing"


def test_every_statement_returns_what_is_written_down_on_every_version(session: Connection) -> None:
    """To renew the text: delete it and run once; then read the difference."""
    shown = "".join(f"{name}: {described(session, statement(name, session.info.server_version))}\n" for name in NAMES)
    if not COLUMNS.exists():
        COLUMNS.write_text(shown, encoding="utf-8")
        pytest.fail(f"{COLUMNS.name} was written: review it and run again")
    assert shown == COLUMNS.read_text(encoding="utf-8")
