"""Statements that another role ran, planned by whoever runs dbtune: their code is run with that role's rights only."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from traps import SPRUNG, sprung

# What the planner evaluates: a constant that is no literal, an index's predicate, and what a view does. What a function
# prepares outlives a rollback.
WORLD = f"""
create schema planter;
create function planter.fire() returns int immutable language plpgsql as $$
begin
    begin perform set_config('role', 'none', true); exception when others then null; end;
    begin perform set_config('session_authorization', session_user, true); exception when others then null; end;
    if (select rolsuper from pg_roles where rolname = current_user) then raise exception '{SPRUNG}'; end if;
    return 7;
end $$;
create function planter.prepare() returns int language plpgsql as $$
begin execute 'prepare dbtune_generic as select 1'; return 7; exception when others then return 7; end $$;
create function planter.fix() returns int immutable language sql as 'select planter.prepare()';
create table planter.items (id int, owner int);
create index on planter.items (owner) where owner > planter.fire();
create view planter.seen as select id from planter.items where id = planter.fire();
insert into planter.items select i, i % 9 from generate_series(1, 200) i
"""
STATEMENTS = {
    "constant": "select id from planter.items where owner = planter.fire()",
    "predicate": "select owner from planter.items where owner = 3",
    "view": "select id from planter.seen where id < 40",
    "own statements": "select id from planter.items where id = planter.fix()",
}


@dataclass(frozen=True, slots=True)
class Planted:
    """The statements have been run by `role`, who has no right but on a schema of its own. `ids` are their queryids."""

    commands: Any
    role: str
    dsn: str
    log: Path
    ids: dict[str, str]

    def run_all(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as session:
            for text in STATEMENTS.values():
                session.execute(text.encode())


@pytest.fixture
def planted(dbtune: Any, postgres_server: Any) -> Iterator[Planted]:
    if postgres_server.log is None:
        pytest.skip("this server's log is not at hand")
    role = f"planter_{secrets.token_hex(4)}"
    dsn = f"{dbtune.dsn}{'&' if '?' in dbtune.dsn else '?'}user={role}"
    with psycopg.connect(dbtune.dsn, autocommit=True) as owner:
        owner.execute(f"create role {role} login".encode())
        owner.execute(f'grant create on database "{owner.info.dbname}" to {role}'.encode())
        owner.execute("create extension pg_stat_statements")
        try:
            dbtune.sql(WORLD, dsn)
            made = Planted(dbtune, role, dsn, postgres_server.log, {})
            made.run_all()
            for name, text in STATEMENTS.items():
                mark = text.split(" where ")[0] + " where " + text.split(" where ")[1].split()[0]
                more = "%planter.f" + text.partition("planter.f")[2].partition("(")[0] if "planter.f" in text else ""
                found = owner.execute(
                    "select queryid::text from pg_stat_statements where userid = %s::regrole and query like %s",
                    (role, f"{mark} %{more}%"),
                ).fetchall()
                assert len(found) == 1, (name, found)
                made.ids[name] = str(found[0][0])
            yield made
        finally:
            owner.execute(f"drop owned by {role} cascade; drop role {role}".encode())


def test_a_superuser_plans_the_statements_of_others_and_runs_none_of_their_code(planted: Planted) -> None:
    commands, start = planted.commands, planted.log.stat().st_size
    for name, queryid in planted.ids.items():
        answer = commands.json("explain", "--queryid", queryid)
        assert (answer.code, sprung(planted.log, start)) == (0, []), (name, answer)
        assert "planter" in str(answer.document["plan"]), name
        assert f"with the rights of {planted.role}" in str(answer.document["notes"])


def test_values_and_execution_are_those_of_the_statement_s_role_as_well(planted: Planted) -> None:
    commands, start = planted.commands, planted.log.stat().st_size
    for more in (("--param", "3"), ("--param", "3", "--analyze")):
        answer = commands.json("explain", "--queryid", planted.ids["predicate"], *more)
        assert (answer.code, sprung(planted.log, start)) == (0, []), answer
    assert commands.run("explain", "--queryid", planted.ids["constant"], "--analyze").code in (0, 2)
    assert sprung(planted.log, start) == []


def test_a_baseline_has_the_plans_of_the_application_s_statements(planted: Planted) -> None:
    commands, start = planted.commands, planted.log.stat().st_size
    process = commands.start("baseline", "capture", "one", "--window", "2s", "--windows", "2", "--format", "json")
    while process.poll() is None:
        planted.run_all()
    captured = commands.end(process)
    assert (captured.code, sprung(planted.log, start)) == (0, []), captured
    shown = commands.json("baseline", "show", "one")
    assert set(planted.ids.values()) <= {plan["queryid"] for plan in shown.document["plans"]}, shown


def test_measured_advice_runs_no_statement_of_others_for_a_superuser(planted: Planted) -> None:
    commands, start = planted.commands, planted.log.stat().st_size
    commands.sql("insert into planter.items select i, i from generate_series(1, 20000) i; analyze", planted.dsn)
    planted.commands.sql("select id from planter.items where id = 5 and planter.fire() > owner - 9", planted.dsn)
    advise = ("advise", "--measure", "--disposable")
    refused = commands.run(*advise)
    assert (refused.code, sprung(planted.log, start)) == (3, []), refused
    assert "connect as the owner of the tables" in refused.err
    measured = commands.json(*advise, dsn=planted.dsn)
    assert (measured.code, sprung(planted.log, start)) == (0, []), measured


def test_a_role_without_powers_plans_with_its_own_rights(planted: Planted) -> None:
    """It may not take on those of others, and has none that they would want."""
    commands, role = planted.commands, f"{planted.role}_reader"
    commands.sql(
        f"create role {role} login; grant pg_read_all_stats to {role}; grant usage on schema planter to {role};"
        f" grant select on all tables in schema planter to {role}"
    )
    try:
        dsn = planted.dsn.replace(f"user={planted.role}", f"user={role}")
        answer = commands.json("explain", "--queryid", planted.ids["predicate"], dsn=dsn)
        assert answer.code == 0, answer
        commands.sql(f"alter role {role} createrole")
        refused = commands.run("explain", "--queryid", planted.ids["predicate"], dsn=dsn)
        assert refused.code == 3, refused
        assert f"run dbtune as {planted.role}" in refused.err
    finally:
        commands.sql(f"drop owned by {role}; drop role {role}")
