"""Advice from end to end: a live database, its dump, and the indexes really built."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import yaml
from filled import copied, filled

from dbtune.advisor.advice import Advice
from dbtune.advisor.narrowing import only_named
from dbtune.advisor.states import Limits
from dbtune.app import twin
from dbtune.app.advice_playbook import advice_playbook
from dbtune.app.advise import Given, Wish, advise
from dbtune.app.targets import OpenTargets
from dbtune.app.validate import validate
from dbtune.core.errors import Misused
from dbtune.core.formats import Screen
from dbtune.render.advice import RENDERERS
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

SCHEMA = """
create extension if not exists pg_stat_statements;
create table "Or""ders" (id bigint primary key, "cust{{omer" int not null, placed timestamptz not null, note text);
insert into "Or""ders" select i, i % 3000, timestamptz '2024-01-01' + i * interval '1 min', md5(i::text)
  from generate_series(1, 60000) i;
create index twice_a on "Or""ders" (placed);
create index twice_b on "Or""ders" (placed);
create table events (id bigint primary key, kind text not null);
insert into events select i, 'k' || i % 10 from generate_series(1, 20000) i;
vacuum analyze
"""
LOOK_UP = 'select * from "Or""ders" where "cust{{omer" = 42'


@pytest.fixture(scope="module")
def orders(postgres_dsn: str) -> Iterator[str]:
    """For all tests that only read it."""
    with filled(postgres_dsn, SCHEMA.split(";")) as dsn:
        yield dsn


@pytest.fixture
def own_orders(orders: str, postgres_dsn: str) -> Iterator[str]:
    """For a test that changes it. What it has been through, how many rows were written say, is not copied."""
    with copied(postgres_dsn, orders) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def look_up(orders: str) -> Advice:
    """On one statement, with its plans."""
    return _ask(orders, sql=LOOK_UP, why="1")


def _ask(dsn: str | None, **wish: object) -> Advice:
    return advise(OpenTargets(dsn, None), Wish(**wish))  # type: ignore[arg-type]


def test_the_workload_of_a_live_database_is_advised_on(postgres_dsn: str) -> None:
    with filled(postgres_dsn, SCHEMA.split(";")) as dsn:
        found = _workload(dsn)
    assert [one.definition.keys[0].column for one in found.recommendations] == ["cust{{omer"]
    served = found.recommendations[0].queries[0]
    assert served.queryid is not None
    assert served.calls >= 20
    assert served.cost_after < served.cost_before / 10
    assert [one.name for one in found.drops] == ["twice_b"]
    assert found.drops[0].replaced_by == "twice_a"


def _workload(dsn: str) -> Advice:
    with psycopg.connect(dsn, autocommit=True) as session:
        for number in range(20):
            session.execute('select * from "Or""ders" where "cust{{omer" = %s', (number,))
        session.execute("select * from events, (select pg_sleep(0)) x where kind like %s", ("%k1",))
    return _ask(dsn)


def test_a_window_counts_only_what_is_called_meanwhile(orders: str) -> None:
    with psycopg.connect(orders, autocommit=True) as session:
        session.execute("select * from events where kind like %s", ("%k1",))
    ended = threading.Event()

    def call() -> None:
        with psycopg.connect(orders, autocommit=True) as session:
            while not ended.wait(0.005):
                session.execute(LOOK_UP)

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(call)
        try:
            found = _ask(orders, window_s=0.5)
        finally:
            ended.set()
        calling.result()
    assert found.statements == 1
    assert [one.definition.keys[0].column for one in found.recommendations] == ["cust{{omer"]
    assert found.recommendations[0].queries[0].calls > 1


def test_only_what_the_workload_names_is_read_and_what_refers_to_it(own_orders: str) -> None:
    with psycopg.connect(own_orders, autocommit=True) as owner:
        owner.execute("create table kinds (id int primary key, event bigint references events)")
        owner.execute("insert into kinds select i, i from generate_series(1, 20000) i")
        owner.execute("create table secret (id int)")
        owner.execute("vacuum analyze kinds, secret")
    with connect(own_orders) as session:
        keep = lambda source: only_named(source, ["delete from events where id = 7"])  # noqa: E731
        source = read_source(session, statements=False, keep=keep)
    assert {table.name for table in source.tables} == {"events", "kinds"}
    assert all(column.statistics for table in source.tables for column in table.columns)
    found = _ask(own_orders, sql="delete from events where id = 7")
    assert [one.definition.columns for one in found.recommendations] == [("event",)]


def test_a_dump_is_advised_on_without_a_connection(orders: str, look_up: Advice, tmp_path: Path) -> None:
    place = tmp_path / "app.twin"
    twin.dump(orders, place, twin.Wish(statements=False))
    offline = _ask(None, sql=LOOK_UP, dump=place)
    assert [one.definition for one in offline.recommendations] == [one.definition for one in look_up.recommendations]
    assert offline.cost_after == look_up.cost_after
    assert offline.target == str(place)


def test_a_bad_statement_spoils_no_other(orders: str) -> None:
    script = (
        f"{LOOK_UP};\nselect * from nowhere;\nselect from where;\nvacuum;\n-- weight: 5\nselect count(*) from events;"
    )
    found = _ask(orders, queries=(Given(script, "some.sql"),))
    assert len(found.recommendations) == 1
    assert found.statements == 2
    reasons = " | ".join(one.reason for one in found.not_examined)
    assert "nowhere" in reasons
    assert len(found.not_examined) == 3


def test_no_statement_at_all_is_said_with_what_to_do(database: str) -> None:
    with pytest.raises(Misused, match="no statement can be advised on"):
        _ask(database, sql="-- nothing")
    with pytest.raises(Misused, match="nowhere"):
        _ask(database, sql="select 1 from nowhere")


def test_a_table_never_analyzed_is_named(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table fresh (id int, a int) with (autovacuum_enabled = off)")
        owner.execute("insert into fresh select i, i from generate_series(1, 20000) i")
    found = _ask(database, sql="select * from fresh where a = 1")
    assert any("never analyzed" in note and "fresh" in note for note in found.notes)


def test_why_shows_the_plans_and_an_unknown_name_is_misuse(orders: str, look_up: Advice) -> None:
    (one,) = look_up.explanations
    assert one.index == look_up.recommendations[0].name
    assert one.index in str(one.after.document)
    assert (one.before.root.total_cost or 0) > (one.after.root.total_cost or 0)
    with pytest.raises(Misused, match="no advised index is called nonsense"):
        _ask(orders, sql=LOOK_UP, why="nonsense")


def test_measured_advice_keeps_what_helps_and_leaves_the_server_as_it_was(orders: str) -> None:
    before = _indexes(orders)
    script = f"{LOOK_UP};\ndelete from events where id = 7;"
    found = _ask(orders, queries=(Given(script, "some.sql"),), measure=True)
    assert [one.confidence for one in found.recommendations] == ["measured"]
    served = found.recommendations[0].queries[0]
    assert served.before_s is not None
    assert served.after_s is not None
    assert served.after_s < served.before_s
    (timing,) = found.timings
    assert (timing.query, timing.before_s, timing.after_s) == (LOOK_UP, served.before_s, served.after_s)
    assert _indexes(orders) == before
    assert any("not measured" in note for note in found.notes)
    with psycopg.connect(orders) as session:
        assert session.execute("select count(*) from events").fetchone() == (20000,)


def _indexes(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as session:
        return session.execute("select indexrelid::regclass::text, indisvalid from pg_index order by 1").fetchall()


def test_the_playbook_is_valid_and_quotes_what_is_odd(orders: str, tmp_path: Path) -> None:
    sql = """select id from "Or""ders" where lower(note) = 'x' order by placed desc nulls last limit 5"""
    text = advice_playbook(_ask(orders, sql=f"{LOOK_UP}; {sql}"))
    assert text is not None
    path = tmp_path / "advice.yml"
    path.write_text(text)
    assert validate([path], {}).ok
    names = [step["name"] for step in yaml.safe_load(text)["steps"]]
    assert any("(lower(note)" in name and "where lower(note) = 'x'" in name for name in names)
    assert any('from "Or""ders" where' in name for name in names)


def test_every_form_keeps_a_hostile_statement_data(orders: str) -> None:
    sql = LOOK_UP + " and note <> '<script>alert(1)</script> | \x1b[31m'"
    found = _ask(orders, sql=sql, why="1")
    for form, render in RENDERERS.items():
        text = render(found, Screen(width=80))
        assert "\x1b" not in text, form
        if form == "html":
            assert "<script>" not in text
    document = json.loads(RENDERERS["json"](found, Screen()))
    one = document["recommendations"][0]
    assert one["columns"] == [{"name": "cust{{omer", "order": "asc"}]
    assert set(document["workload"]) >= {"cost_before", "cost_after", "statements"}
    assert one["queries"][0]["query"] == sql


def test_a_budget_of_nothing_to_speak_of_gets_no_index(orders: str) -> None:
    assert not _ask(orders, sql=LOOK_UP, limits=Limits(budget_bytes=8192)).recommendations


def test_asking_for_advice_makes_no_index_seem_used(own_orders: str) -> None:
    for _ in range(2):
        _ask(own_orders, sql='select count(*) from "Or""ders" where placed > \'2030-01-01\'')
    with psycopg.connect(own_orders) as session:
        scans = session.execute("select idx_scan from pg_stat_user_indexes where indexrelname like 'twice%'").fetchall()
    assert scans == [(0,), (0,)]
