from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import conninfo, sql

from dbtune.servers.postgres.session import Limits, connect, look_at

ODD = {
    "client_encoding": "LATIN1",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "search_path": "nowhere",
}


@pytest.fixture
def odd(database: str) -> str:
    """A database whose sessions write everything in another way."""
    name = sql.Identifier(str(conninfo.conninfo_to_dict(database)["dbname"]))
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute('create table "Kürzel 😀" (id int); create index "😀" on "Kürzel 😀" (id)')
        for setting, value in ODD.items():
            owner.execute(sql.SQL("alter database {} set {} = {}").format(name, sql.Identifier(setting), value))
    return database


def test_what_a_session_answers_is_read_alike_whatever_the_database_is_set_to(odd: str) -> None:
    with connect(odd, limits=Limits(work_s=5, lock_s=1)) as session:
        row = session.execute(
            r"select now(), interval '-1 day 2 hours', '\x6101'::bytea, 0.1::float8 + 0.2, 'a\b',"
            " pg_get_indexdef(indexrelid), current_setting('statement_timeout')"
            " from pg_index where indrelid = 'public.\"Kürzel 😀\"'::regclass"
        ).fetchone()
    assert row is not None
    assert isinstance(row[0], datetime)
    assert row[1:5] == (timedelta(hours=-22), b"a\x01", 0.1 + 0.2, r"a\b")
    assert row[5:] == ('CREATE INDEX "😀" ON public."Kürzel 😀" USING btree (id)', "5s")


def test_a_session_keeps_the_path_on_which_the_application_finds_its_tables(odd: str) -> None:
    with connect(odd) as session:
        assert session.execute("show search_path").fetchone() == ("nowhere",)
        assert look_at(session).version >= 130000
