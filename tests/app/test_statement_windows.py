# ruff: noqa: S311 - seeded on purpose: a run can be repeated
"""N+1 on a real server: sub-windows, a snapshot, what is missing, and what somebody accepts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg import conninfo, sql

from dbtune.app.accepted import accept, read_accepted
from dbtune.app.audit import Wish, audit
from dbtune.app.statement_windows import sub_windows, watch
from dbtune.app.targets import OpenTargets
from dbtune.checks.check import Audited
from dbtune.checks.n_plus_one import judge
from dbtune.core.findings import AuditReport, Finding
from dbtune.core.progress import silent
from dbtune.servers.postgres.session import connect

SERVER = Audited(180000, "x", "x", is_superuser=True, is_replica=False, statistics_age_s=1.0)
TABLES = """
create table "Authors" (id int primary key, name text);
create table posts (id int primary key, "Author" int not null references "Authors");
insert into "Authors" select i, 'a' from generate_series(1, 50) i;
insert into posts select i, 1 + i % 50 from generate_series(1, 500) i;
analyze
"""


@pytest.fixture
def app(database: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(database, autocommit=True)
    connection.execute("create extension pg_stat_statements")
    connection.execute(TABLES)
    return connection


def page(app: psycopg.Connection[tuple[object, ...]], size: int) -> None:
    rows = app.execute('select id, "Author" from posts order by id limit %s', (size,)).fetchall()
    for _, author in rows:
        app.execute('select name from "Authors" where id = %s', (author,))


def traffic(app: psycopg.Connection[tuple[object, ...]], seed: int = 1) -> None:
    draw = Random(seed)
    for _ in range(draw.randint(2, 6)):
        page(app, draw.randint(6, 30))


def watched(database: str, app: psycopg.Connection[tuple[object, ...]]) -> list[Finding]:
    seeds = iter(range(100))
    with app, connect(database) as session:
        found = watch(session, 6.0, 6, pause=lambda _: traffic(app, next(seeds)))
    return [one for one in judge([found], SERVER) if isinstance(one, Finding)]


def test_a_loop_is_named_with_its_parent_its_foreign_key_and_a_fix_with_quoted_names(
    database: str, app: psycopg.Connection[tuple[object, ...]]
) -> None:
    (found,) = watched(database, app)
    assert found.evidence["level"] == "likely"
    assert found.evidence["kind"] == "select"
    assert found.evidence["edge"] == "public.posts.Author → public.Authors.id"
    assert found.evidence["parent"]["query"].startswith('select id, "Author" from posts')
    assert isinstance(found.evidence["child"]["queryid"], str)
    assert 0 < found.evidence["time_to_save_s"][0] < found.evidence["time_to_save_s"][1]
    assert found.fix is not None
    with psycopg.connect(database) as connection:
        connection.execute(found.fix.sql[0].encode())
    assert {"django", "sqlalchemy", "typeorm", "prisma", "rails"} <= set(found.evidence["rewrite"])


@pytest.mark.parametrize(("window_s", "parts"), [(1, 6), (30, 6), (60, 12), (120, 24), (3600, 24)])
def test_a_window_is_cut_into_six_to_twenty_four_parts(window_s: float, parts: int) -> None:
    assert sub_windows(window_s) == parts


def test_without_a_window_the_snapshot_is_capped_at_suspected(
    database: str, app: psycopg.Connection[tuple[object, ...]]
) -> None:
    with app:
        for seed in range(6):
            traffic(app, seed)
    report = audit(OpenTargets(database, None), Wish(only=("PG201",)), silent)
    (found,) = report.findings
    assert found.evidence["level"] == "suspected"
    assert "snapshot" in found.message


def test_a_reset_within_the_window_is_said_and_nothing_is_judged(
    database: str, app: psycopg.Connection[tuple[object, ...]]
) -> None:
    def pause(_: float) -> None:
        traffic(app)
        app.execute("select pg_stat_statements_reset()")

    with app, connect(database) as session:
        found = watch(session, 2.0, 2, pause=pause)
    assert found.statements == ()
    assert any("reset" in one.reason for one in found.unread)


def test_statements_in_functions_are_no_round_trips(database: str, app: psycopg.Connection[tuple[object, ...]]) -> None:
    app.execute("""create function names() returns void language plpgsql as $$
        declare row record; begin
        for row in select id, "Author" from posts loop perform name from "Authors" where id = row."Author"; end loop;
        end $$""")

    def pause(_: float) -> None:
        app.execute("select names()")

    with app, connect(database) as session:
        session.execute("set pg_stat_statements.track = 'all'")
        found = watch(session, 3.0, 3, pause=pause)
    assert [one for one in judge([found], SERVER) if isinstance(one, Finding)] == []


def test_without_the_extension_the_check_is_skipped_with_its_remedy(database: str) -> None:
    report = audit(OpenTargets(database, None), Wish(only=("n-plus-one",)), silent)
    (skipped,) = report.skipped
    assert skipped.check == "PG201"
    assert "create extension pg_stat_statements" in (skipped.hint or "")


def test_a_role_that_may_not_see_texts_is_told_what_is_hidden(
    database: str, app: psycopg.Connection[tuple[object, ...]]
) -> None:
    role = f"{conninfo.conninfo_to_dict(database)['dbname']}_reader"
    app.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    try:
        with connect(database) as session:
            session.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            found = watch(session, 1.0, 2, pause=lambda _: traffic(app))
        assert any("hidden" in one.reason for one in found.unread)
        assert any("pg_read_all_stats" in (one.hint or "") for one in found.unread)
    finally:
        app.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
        app.close()


def test_an_accepted_one_is_left_out_by_queryid_or_fingerprint_until_its_day(
    database: str, app: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    (found,) = watched(database, app)
    report = AuditReport("x", datetime.now(UTC), 1.0, (found,), (), ("PG201",))
    for mark in (found.evidence["child"]["queryid"], found.evidence["child"]["fingerprint"]):
        path = tmp_path / "accepted.yml"
        entry = f'- {{code: n-plus-one, object: "{mark}", reason: ten rows at most, expires: 2030-01-31}}'
        path.write_text(f"version: 1\naccepted:\n{entry}\n", encoding="utf-8")
        entries = read_accepted(path)
        assert accept(report, entries, date(2030, 1, 31)).report.findings == ()
        assert len(accept(report, entries, date(2030, 2, 1)).report.findings) == 1
