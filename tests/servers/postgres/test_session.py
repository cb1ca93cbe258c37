from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import conninfo, sql

from dbtune.servers.postgres.search_path import users_path
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


def test_a_person_s_statements_are_read_on_the_path_on_which_the_application_finds_its_tables(odd: str) -> None:
    with connect(odd) as session:
        assert look_at(session).version >= 130000
        with users_path(session):
            assert session.execute("show search_path").fetchone() == ("nowhere",)
        assert session.execute("show search_path").fetchone() == ("pg_catalog, pg_temp",)


@pytest.mark.parametrize("person_s", ["set search_path = app", "reset all", "discard all", "begin", "selct 1"])
def test_whatever_a_person_s_statements_do_ours_are_read_on_our_own_path(database: str, person_s: str) -> None:
    with connect(database, read_only=False) as session:
        with contextlib.suppress(psycopg.errors.SyntaxError), users_path(session):
            session.execute(person_s.encode())
        assert session.execute("show search_path").fetchone() == ("pg_catalog, pg_temp",)


@pytest.mark.parametrize("person_s", ["set search_path = app", "set local search_path = app", "selct 1", "commit"])
def test_a_transaction_s_end_leaves_our_own_path(database: str, person_s: str) -> None:
    with connect(database, read_only=False) as session:
        with contextlib.suppress(psycopg.errors.SyntaxError), session.transaction(), users_path(session):
            assert session.execute("show search_path").fetchone() == ('"$user", public',)
            session.execute(person_s.encode())
        assert session.execute("show search_path").fetchone() == ("pg_catalog, pg_temp",)
