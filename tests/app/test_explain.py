"""One statement explained on a real server: what is executed, what is refused, and what stays as it was."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from filled import copied, filled
from psycopg import conninfo, sql

from dbtune.app.explain import Wish, explain_saved, explain_statement
from dbtune.app.targets import OpenTargets
from dbtune.core.errors import DbtuneError, Misused, Refused, Unsupported
from dbtune.plans.report import ExplainReport

TABLES = """
create table items (id bigint primary key, owner int, note text, at timestamptz default now());
insert into items select i, i % 1000, 'x' from generate_series(1, 20000) i;
create table stamped (id serial primary key, note text);
create function stamp() returns trigger language plpgsql as $$ begin new.note = 'stamped'; return new; end $$;
create trigger stamp before insert or update on stamped for each row execute function stamp();
create function reload() returns bool language plpgsql stable as $$ begin return pg_reload_conf(); end $$;
create function counted() returns bigint language plpgsql as $$ begin return (select count(*) from items); end $$;
create function anything(what text) returns void language plpgsql as $$ begin execute what; end $$;
create function alarm() returns trigger language plpgsql as $$ begin perform reload(); return new; end $$;
create table watched (id int primary key);
create trigger alarm before insert on watched for each row execute function alarm();
create function into_watched() returns int language sql as $$ insert into watched values (1) returning id $$;
create function careful(a int, b int) returns bool language plpgsql as $$ begin return pg_reload_conf(); end $$;
create operator === (leftarg = int, rightarg = int, function = careful);
analyze items
"""


@pytest.fixture(scope="module")
def shared(postgres_dsn: str) -> Iterator[str]:
    """For all tests of which nothing stays."""
    with filled(postgres_dsn, [TABLES]) as dsn:
        yield dsn


@pytest.fixture
def own(shared: str, postgres_dsn: str) -> Iterator[str]:
    """For a test that puts something there."""
    with copied(postgres_dsn, shared) as dsn:
        yield dsn


@pytest.fixture
def dsn(shared: str, request: pytest.FixtureRequest) -> str:
    """Of the test's own database, where it has one."""
    return str(request.getfixturevalue("own")) if "own" in request.fixturenames else shared


@pytest.fixture
def owner(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as owner:
        yield owner


@pytest.fixture
def targets(dsn: str) -> OpenTargets:
    return OpenTargets(dsn, None)


def explain(targets: OpenTargets, statement: str, *params: str, **how: bool) -> ExplainReport:
    return explain_statement(targets, Wish(sql=statement, params=params, **how))


def test_a_plan_is_shown_without_executing_anything(targets: OpenTargets, owner: psycopg.Connection) -> None:
    report = explain(targets, "delete from items")
    assert not report.plan.is_executed
    assert report.plan.root.title == "Delete on public.items"
    assert any("not executed" in note for note in report.notes)
    assert owner.execute("select count(*) from items").fetchone() == (20000,)


def test_a_query_is_executed_for_the_values_given(targets: OpenTargets) -> None:
    report = explain(targets, "select * from items where owner = $1 and note <> $2", "7", "y", analyze=True)
    assert report.plan.root.total_rows == 20
    fixes = [line for insight in report.insights if insight.code == "PL019" for line in insight.sql]
    assert fixes == ['create index concurrently on "public"."items" (owner);']


def test_a_generic_plan_needs_no_values_and_says_that_it_is_one(targets: OpenTargets) -> None:
    report = explain(targets, "select * from items where owner = $1 and at > now() - interval $2")
    assert any("generic plan" in note for note in report.notes)
    assert "$1" in str(report.plan.root.conditions)
    dollar = explain(targets, "select '$1' as price")
    assert not any("generic plan" in note for note in dollar.notes)


def test_parameters_without_values_are_not_executed(targets: OpenTargets) -> None:
    with pytest.raises(Misused, match="parameters"):
        explain(targets, "select * from items where owner = $1", analyze=True)


WRITING = (
    "update items set note = 'z'",
    "with gone as (delete from items returning *) select count(*) from gone",
    "select * from items for update",
    "create table copied as select * from items",
    "select * into copied from items",
)


@pytest.mark.parametrize("statement", WRITING)
def test_what_writes_is_executed_only_when_allowed_and_nothing_stays(
    targets: OpenTargets, owner: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(Misused, match="is not executed"):
        explain(targets, statement, analyze=True)
    report = explain(targets, statement, analyze=True, allow_writes=True)
    assert report.plan.is_executed
    assert any("rolled back" in note for note in report.notes)
    assert owner.execute("select count(*) from items where note = 'x'").fetchone() == (20000,)
    assert owner.execute("select to_regclass('copied')").fetchone() == (None,)


@pytest.mark.usefixtures("own")
def test_a_function_that_writes_is_stopped_by_the_server(targets: OpenTargets, owner: psycopg.Connection) -> None:
    owner.execute("create function wipe() returns void language sql as 'delete from items'")
    with pytest.raises(Misused, match="read-only transaction"):
        explain(targets, "select wipe()", analyze=True)
    assert explain(targets, "select wipe()", analyze=True, allow_writes=True).plan.is_executed
    assert owner.execute("select count(*) from items").fetchone() == (20000,)


REACHING = (
    "select pg_terminate_backend(1)",
    "select PG_TERMINATE_BACKEND /* really */ (1)",
    'select "pg_reload_conf"()',
    "select * from pg_ls_dir('.')",
    "select lo_export(1, 'x')",
    "select query_to_xml('select pg_reload_conf()', true, true, '')",
    "select reload()",
    "select anything('checkpoint')",
    "select pg_advisory_lock(1)",
    "insert into watched values (1)",
    "select into_watched()",
    "select 1 where 1 === 1",
    "select set_config('x.y', '1', false), pg_rotate_logfile()",
)


@pytest.mark.parametrize("statement", REACHING)
def test_what_a_rollback_could_not_take_back_is_never_executed(targets: OpenTargets, statement: str) -> None:
    for allow_writes in (False, True):
        with pytest.raises(Misused, match="not executed"):
            explain(targets, statement, analyze=True, allow_writes=allow_writes)
    assert explain(targets, statement).plan.nodes


@pytest.mark.parametrize(
    "statement",
    [
        "insert into stamped (note) select 'x' from generate_series(1, 10)",
        "select counted()",
        "select random(), now(), clock_timestamp(), nextval('stamped_id_seq')",
    ],
)
def test_volatile_functions_that_stay_inside_are_fine(targets: OpenTargets, statement: str) -> None:
    assert explain(targets, statement, analyze=True, allow_writes=True).plan.is_executed


def test_a_statement_gets_only_its_time(targets: OpenTargets) -> None:
    with pytest.raises(Refused, match="did not end within 200ms"):
        explain_statement(targets, Wish(sql="select pg_sleep(30)", analyze=True, timeout_s=0.2))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("select * from nothing", "does not exist"),
        ("selec 1", "syntax error"),
        ("select 1; drop table items", "not 2"),
        ("", "not 0"),
        ("explain select 1", "EXPLAIN already"),
        ("vacuum items", "cannot be explained"),
    ],
)
def test_a_mistake_is_told_as_one(targets: OpenTargets, statement: str, told: str) -> None:
    with pytest.raises(Misused, match=told):
        explain(targets, statement)


def test_a_second_statement_does_not_hide_in_a_string(targets: OpenTargets, owner: psycopg.Connection) -> None:
    smuggled = r"select * from items where note = '\'; commit; drop table items; --'"
    with pytest.raises(DbtuneError):
        explain(targets, smuggled, analyze=True, allow_writes=True)
    assert owner.execute("select count(*) from items").fetchone() == (20000,)


def test_a_role_without_the_right_is_told_so(owner: psycopg.Connection, dsn: str) -> None:
    role = f"dbtune_test_{secrets.token_hex(6)}"
    owner.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    try:
        limited = OpenTargets(conninfo.make_conninfo(dsn, options=f"-c role={role}"), None)
        with pytest.raises(Refused, match="permission denied for table items"):
            explain(limited, "select * from items")
    finally:
        owner.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.mark.usefixtures("own")
def test_statements_of_pg_stat_statements_are_explained_by_their_id(
    targets: OpenTargets, owner: psycopg.Connection
) -> None:
    with pytest.raises(Unsupported, match="not installed"):
        explain_statement(targets, Wish(queryid=1))
    owner.execute("create extension pg_stat_statements")
    with pytest.raises(Misused, match="no statement 1"):
        explain_statement(targets, Wish(queryid=1))
    odd = "select extract(year from at), date '2020-01-01' from items where owner = 7 and at > now() - interval '1 day'"
    for statement in (odd, "select note from items where owner in (1, 2, 3) limit 5", "insert into items values (-1)"):
        owner.execute(statement)
        row = owner.execute(
            "select queryid, query from pg_stat_statements where dbid ="
            " (select oid from pg_database where datname = current_database()) and query ilike %s",
            (f"{statement[:12]}%items%",),
        ).fetchone()
        assert row is not None
        report = explain_statement(targets, Wish(queryid=row[0]))
        assert report.statement == row[1]
        assert "items" in {node.relation for node in report.plan.nodes}


@pytest.mark.usefixtures("own")
def test_names_of_every_kind_come_out_right_in_actions(targets: OpenTargets, owner: psycopg.Connection) -> None:
    name, column = 'we"ird . näme🐘', 'Select "x"'
    table, field = sql.Identifier(name), sql.Identifier(column)
    owner.execute(sql.SQL("create table {} ({} int)").format(table, field))
    owner.execute(sql.SQL("insert into {} select i from generate_series(1, 20000) i").format(table))
    owner.execute(sql.SQL("analyze {}").format(table))
    query = sql.SQL("select * from {} where {} = 7").format(table, field).as_string(owner)
    fixes = [one.sql[0] for one in explain(targets, query, analyze=True).insights if one.code == "PL019"]
    assert len(fixes) == 1
    owner.execute(fixes[0].encode())
    assert "PL019" not in {one.code for one in explain(targets, query, analyze=True).insights}


def test_a_saved_plan_names_its_file_and_of_several_the_slowest() -> None:
    lines = "Result  (cost=0.00..0.01 rows=1 width=4) (actual time={0}..{0} rows=1 loops=1)\nExecution Time: {0} ms\n"
    text = "QUERY PLAN\n" + lines.format("1.000") + "QUERY PLAN\n" + lines.format("9.000")
    report = explain_saved(text, "plan.txt")
    assert report.target == "plan.txt"
    assert report.plan.execution_s == pytest.approx(0.009)
    assert report.notes == ("the slowest of the 2 plans there",)
    with pytest.raises(Misused, match=r"^plan.txt: "):
        explain_saved("nonsense", "plan.txt")
