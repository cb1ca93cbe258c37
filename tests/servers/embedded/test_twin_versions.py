"""A twin of an older server: of that server's own version, or of the newest where that cannot be had."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filled import filled

from dbtune.advisor.source import Source
from dbtune.core.identifiers import quote
from dbtune.servers.embedded.accounts import server_account
from dbtune.servers.embedded.binaries import PROGRAMS_VARIABLE, postgres_version, wheel_postgres
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.embedded.twin_memory import evict, prepare_memory
from dbtune.servers.embedded.twin_server import open_admin, twin_server
from dbtune.servers.embedded.twin_sessions import OWNER
from dbtune.servers.embedded.twin_statistics import load_statistics
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import Connection, connect

KINDS = [
    "create type mood as enum ('sad', 'glad', 'it''s ok')",
    "create domain mail as text collate \"C\" check (value like '%@%')",
    "create domain mails as mail check (value <> '')",
    "create type pair as (a int, b text)",
    """create table kinds (id bigint, flag boolean, small smallint, name varchar(20), code char(5), n numeric(12, 3),
        f double precision, day date, at timestamptz, span interval, uid uuid, ip inet, net cidr, m mood, e mails,
        es mail[], tags text[], numbers int[], j jsonb, words tsvector, r int4range, mac macaddr, bits bit(4), p pair,
        "odd \"\" name" text, raw bytea, moods mood[], hole xml)""",
    """insert into kinds select i, i % 3 = 0, i % 7, 'name, "' || i % 50 || E'\\\\', 'c' || i % 9, i / 8.0, i / 3.0,
        date '2020-01-01' + i % 400, now() - i * interval '1 min', i % 11 * interval '1 h',
        md5((i % 90)::text)::uuid, ('10.0.' || i % 5 || '.' || i % 200)::inet, ('10.' || i % 20 || '.0.0/16')::cidr,
        (array['sad', 'glad', 'it''s ok'])[i % 3 + 1]::mood, 'a' || i % 60 || '@b', array['x@' || i % 4, 'y@z']::mail[],
        array['t' || i % 6, 'NULL', null], array[i % 5, i % 8], jsonb_build_object('k', i % 30),
        to_tsvector('simple', 'word' || i % 40 || ' common'), int4range(i % 100, i % 100 + i % 9), '08:00:2b:01:02:03',
        (i % 16)::bit(4), row (i % 3, 'b')::pair, case when i % 10 > 0 then 'v' || i % 70 end, decode('ff00', 'hex'),
        array['sad', 'glad']::mood[], null
        from generate_series(1, 3000) i""",
    "create index kinds_lower on kinds (lower(e), (n * 2))",
    "analyze kinds",
]


@pytest.fixture(scope="module")
def kinds_dsn(postgres_dsn: str) -> Iterator[str]:
    """A column of nearly every kind of type that has statistics."""
    with filled(postgres_dsn, KINDS) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def kinds(kinds_dsn: str) -> Source:
    with connect(kinds_dsn) as session:
        return read_source(session, statements=False)


@pytest.fixture(scope="module")
def twin(kinds: Source) -> Iterator[Twin]:
    with open_twin(kinds) as opened:
        yield opened


@pytest.fixture
def broken(short_directory: Path) -> Iterator[Path]:
    """The programs of a PostgreSQL 15 that cannot make a cluster."""
    with tempfile.TemporaryDirectory(prefix="dbtune-test-", dir=short_directory) as name:
        Path(name).chmod(0o755)
        for program, text in (
            ("postgres", "echo 'postgres (PostgreSQL) 15.9'"),
            ("initdb", '[ "$1" = --version ]'),
        ):
            (Path(name) / program).write_text(f"#!/bin/sh\n{text}\n")
            (Path(name) / program).chmod(0o755)
        yield Path(name)


def shown(session: psycopg.Connection[Any] | Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """What pg_stats says of every column."""
    rows = session.execute("select to_jsonb(pg_stats) from pg_catalog.pg_stats where schemaname = 'public'").fetchall()
    found: list[dict[str, Any]] = [row[0] for row in rows]  # type: ignore[misc]
    return {(one["tablename"], one["attname"]): one for one in found}


def test_the_twin_is_of_the_servers_own_version(twin: Twin, kinds: Source) -> None:
    assert twin.planner_version == kinds.version // 10_000
    (cost,) = twin.costs(["select * from kinds where id = $1 and name = $2 -- a comment"])
    assert cost.total is not None


def test_statistics_of_every_kind_of_type_are_those_of_the_server(twin: Twin, kinds: Source, kinds_dsn: str) -> None:
    with psycopg.connect(kinds_dsn) as session:
        theirs = shown(session)
    ours = shown(twin._sessions.admin)
    gaps = {one.check: one.reason for one in twin.not_examined}
    pair = f"statistics of {quote('public', 'kinds', 'p')}"
    if kinds.version < 180000:
        # A superuser would read them, with the checks of what they are made of.
        assert "composite" in gaps.pop(pair)
        del ours["kinds", "p"], theirs["kinds", "p"]
    assert gaps == {}
    assert len(theirs) > 20
    assert ours == theirs


def test_statistics_of_what_is_not_the_owners_are_not_touched(kinds: Source) -> None:
    (table,) = kinds.tables
    catalog = replace(kinds, tables=(replace(table, schema="pg_catalog", name="pg_class", columns=table.columns),))
    with twin_server(kinds) as (_, admin):
        admin.execute(f"create role {OWNER} login".encode())
        count = "select count(*) from pg_statistic where starelid = 'pg_class'::regclass"
        before = admin.execute(count).fetchone()
        if admin.info.server_version < 180000:
            assert load_statistics([admin], [admin], catalog, set()) == []
        assert admin.execute(count).fetchone() == before


def test_a_server_that_does_not_start_gives_way_to_the_wheels(
    kinds: Source, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROGRAMS_VARIABLE, str(broken))
    with open_twin(replace(kinds, version=150009)) as twin:
        assert twin.planner_version == postgres_version(wheel_postgres(server_account())).major


def test_a_server_without_an_extension_of_the_source_gives_way_to_the_wheels(kinds: Source) -> None:
    with_vector = replace(kinds, extensions=(("vector", "public", "0.8"),))
    with open_twin(with_vector) as twin:
        assert twin.planner_version == postgres_version(wheel_postgres(server_account())).major
        assert twin.not_examined == ()


def test_every_page_is_forgotten(kinds: Source) -> None:
    with twin_server(kinds) as (server, admin), contextlib.ExitStack() as stack:
        prepare_memory(admin, server.directory / "data")
        admin.execute("create extension if not exists pg_buffercache with schema public")
        other = stack.enter_context(contextlib.closing(open_admin(stack, server.dsn)))
        other.execute("create table public.pages as select i, repeat('x', 500) from generate_series(1, 2000) i")
        seen = (
            "select count(*) from public.pg_buffercache where relfilenode = pg_relation_filenode('public.pages')"
            " and reldatabase = (select oid from pg_database where datname = current_database())"
        )
        for _ in range(20):
            # As often used as a page can be.
            other.execute("select count(*) from public.pages where i % 7 = 0")
        assert admin.execute(seen).fetchone() != (0,)
        evict(admin)
        assert admin.execute(seen).fetchone() == (0,)
        assert other.execute("select count(*) from public.pages").fetchone() == (2000,)
