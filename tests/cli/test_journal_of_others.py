"""Schema `dbtune` as somebody else has made it, who wants code of theirs run with the rights of whoever runs dbtune."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from traps import SPRUNG, sprung

from dbtune.servers.postgres.queries import statement

BOOK = """
version: 1
name: shop
steps:
  - sql: {apply: create table public.made (), rollback: drop table public.made}
"""
# Each as the planter writes it, after the journal's own tables unless it begins with a schema.
TRAPS = {
    "attached": """
        create trigger trap before insert on dbtune.run for each row execute function planter.fire();
        create rule trap as on update to dbtune.step do also select planter.text('rule');
        alter table dbtune.run add filled text default planter.text('default');
        alter table dbtune.run add generated text generated always as (planter.text(status)) stored;
        alter table dbtune.step add constraint bound check (planter.text(kind) <> '');
        alter table dbtune.step add constraint compared check (status operator(planter.===) status);
        alter table dbtune.step enable row level security;
        create policy trap on dbtune.step using (planter.text(status) <> '');
        create index of_expression on dbtune.run (planter.text(status));
        create index of_predicate on dbtune.step (status) where planter.text(status) <> ''""",
    "domain": """create domain planter.checked as text check (planter.text(value) is not null);
        alter table dbtune.run alter status type planter.checked""",
    "child": """create table planter.child () inherits (dbtune.run);
        insert into planter.child (run_id, command, playbook, status, host, client_pid, dbtune)
        values ('old', 'apply', 'shop', 'running', '', 1, '');
        create trigger trap before update on planter.child for each row execute function planter.fire()""",
    "rule": """create table planter.other (); create rule trap as on insert to dbtune.run
        do also insert into planter.other default values;
        create trigger trap before insert on planter.other for each row execute function planter.fire()""",
    "view": """create schema dbtune; create view dbtune.step as select planter.text('step') as run_id;
        create view dbtune.run as select planter.text('run') as run_id, 'running' as status, now() as ended_at;
        create trigger trap instead of insert on dbtune.run for each row execute function planter.fire()""",
}
NAMED = ["trigger trap", "rule trap", "policy trap", "column filled", "column generated"]
NAMED += ["constraint bound", "constraint compared", "index dbtune.of_expression", "index dbtune.of_predicate"]
FUNCTIONS = f"""
create schema planter;
create function planter.fire() returns trigger language plpgsql as
$$ begin raise exception '{SPRUNG}: %', tg_name; end $$;
create function planter.text(text) returns text immutable language plpgsql as
$$ begin if (select rolsuper from pg_roles where rolname = current_user) then raise exception '{SPRUNG}: %', $1; end if;
   return $1; end $$;
create function planter.same(text, text) returns boolean immutable language plpgsql as
$$ begin return planter.text($1) = $2; end $$;
create operator planter.=== (leftarg = text, rightarg = text, function = planter.same);
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """`dsn` is that of the planter, who may create schemas and nothing else."""

    commands: Any
    role: str
    dsn: str
    log: Path

    def plant(self, trap: str) -> None:
        self.commands.sql(FUNCTIONS, self.dsn)
        if not trap.startswith("create schema"):
            self.commands.sql(statement("journal_schema", 180000), self.dsn)
        self.commands.sql(trap, self.dsn)


def as_role(dsn: str, role: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}user={role}" if "://" in dsn else f"{dsn} user={role}"


@pytest.fixture
def roles(dbtune: Any) -> Iterator[Any]:
    """Makes roles that may log in; they are gone afterwards."""
    made: list[str] = []

    def make(rights: str = "") -> tuple[str, str]:
        role = f"journal_{secrets.token_hex(4)}"
        dbtune.sql(f"create role {role} login {rights}")
        made.append(role)
        return role, as_role(dbtune.dsn, role)

    yield make
    with psycopg.connect(dbtune.dsn, autocommit=True) as owner:
        for role in made:
            owner.execute(f"reassign owned by {role} to current_user; drop owned by {role}; drop role {role}".encode())


@pytest.fixture
def planted(dbtune: Any, roles: Any, postgres_server: Any) -> Planted:
    if postgres_server.log is None:
        pytest.skip("this server's log is not at hand")
    role, dsn = roles()
    with psycopg.connect(dbtune.dsn, autocommit=True) as owner:
        owner.execute(f'grant create on database "{owner.info.dbname}" to {role}'.encode())
    return Planted(dbtune, role, dsn, postgres_server.log)


def repairs(error: str) -> str:
    """What the hint says to run."""
    return error.partition("or keep it: ")[2].splitlines()[0]


@pytest.mark.parametrize("kind", TRAPS)
def test_a_superuser_runs_nothing_of_whoever_made_the_journal_first(planted: Planted, kind: str) -> None:
    planted.plant(TRAPS[kind])
    commands, start = planted.commands, planted.log.stat().st_size
    playbook = commands.playbook(BOOK)
    applied = commands.run("apply", playbook, "--yes")
    assert (applied.code, sprung(planted.log, start)) == (3, []), applied
    assert planted.role in applied.err, applied.err
    if kind == "attached":
        assert [name for name in NAMED if name not in applied.err] == []
    # What the hint says is enough.
    commands.sql(repairs(applied.err))
    again = commands.json("apply", playbook, "--yes")
    assert (again.code, again.statuses, sprung(planted.log, start)) == (0, ["applied"], []), again


def test_no_command_looks_into_a_journal_of_others(planted: Planted) -> None:
    planted.plant(TRAPS["view"])
    commands, start = planted.commands, planted.log.stat().st_size
    playbook = commands.playbook(BOOK)
    for arguments in (
        ("history",),
        ("plan", playbook),
        ("verify", playbook),
        ("apply", playbook, "--yes", "--resume"),
        ("rollback", "last", "--yes"),
    ):
        answer = commands.run(*arguments)
        assert (answer.code, sprung(planted.log, start)) == (3, []), (arguments, answer)
        assert "the view dbtune.run" in answer.err, answer.err
    captured = commands.json("baseline", "capture", "one", "--window", "300ms", "--windows", "2")
    assert (captured.code, sprung(planted.log, start)) == (0, []), captured
    assert "the view dbtune.run" in captured.out + captured.err


def test_what_is_attached_is_seen_after_the_journal_was_made_one_s_own(planted: Planted) -> None:
    planted.plant("create trigger trap before insert on dbtune.run for each row execute function planter.fire()")
    commands, start = planted.commands, planted.log.stat().st_size
    commands.sql(
        "alter schema dbtune owner to current_user; alter table dbtune.run owner to current_user;"
        " alter table dbtune.step owner to current_user"
    )
    applied = commands.run("apply", commands.playbook(BOOK), "--yes")
    assert (applied.code, sprung(planted.log, start)) == (3, []), applied
    assert repairs(applied.err) == "drop trigger trap on dbtune.run;"


def test_who_may_add_triggers_to_the_journal_is_refused_that_right(planted: Planted) -> None:
    commands, playbook = planted.commands, planted.commands.playbook(BOOK)
    assert commands.run("apply", playbook, "--yes").code == 0
    commands.sql(f"grant usage on schema dbtune to {planted.role}; grant all on dbtune.run to {planted.role}")
    refused = commands.run("apply", playbook, "--yes")
    assert refused.code == 3
    assert repairs(refused.err) == f"revoke trigger on dbtune.run from {planted.role};"
    commands.sql(repairs(refused.err))
    assert commands.run("apply", playbook, "--yes").code == 0


def test_a_team_goes_on_with_the_journal_of_the_database_s_owner_or_of_a_role_of_theirs(
    dbtune: Any, roles: Any
) -> None:
    """Who works with their tables runs their code anyway; a superuser does not, and a stranger is not served."""
    (owner, owner_dsn), (member, member_dsn), (granted, granted_dsn) = roles(), roles(), roles()
    with psycopg.connect(dbtune.dsn, autocommit=True) as superuser:
        superuser.execute(f'alter database "{superuser.info.dbname}" owner to {owner}'.encode())
        superuser.execute(f"grant {owner} to {member}".encode())
    playbook = dbtune.playbook(
        BOOK.replace("create table public.made ()", "select 1").replace("drop table public.made", "select 1")
    )
    assert dbtune.run("apply", playbook, "--yes", dsn=owner_dsn).code == 0
    dbtune.sql(
        f"grant usage on schema dbtune to {granted};"
        f" grant select, insert, update on dbtune.run, dbtune.step to {granted}"
    )
    for dsn in (member_dsn, granted_dsn):
        applied = dbtune.json("apply", playbook, "--yes", dsn=dsn)
        assert (applied.code, applied.statuses) == (0, ["unchanged"]), applied
    users = {run["user"] for run in dbtune.json("history", dsn=owner_dsn).document["runs"]}
    assert users == {owner, member, granted}
    assert dbtune.run("history").code == 3
    with psycopg.connect(dbtune.dsn, autocommit=True) as superuser:
        superuser.execute(f'alter database "{superuser.info.dbname}" owner to current_user'.encode())
    assert [dbtune.run("history", dsn=dsn).code for dsn in (owner_dsn, member_dsn, granted_dsn)] == [0, 0, 3]
    dbtune.sql(f"alter role {member} createrole")
    assert dbtune.run("history", dsn=member_dsn).code == 3


def test_a_superuser_s_journal_serves_everybody_who_was_granted_it(dbtune: Any, roles: Any) -> None:
    _, dsn = roles()
    playbook = dbtune.playbook(BOOK.replace("create table public.made ()", "select 1"))
    assert dbtune.run("apply", playbook, "--yes").code == 0
    dbtune.sql(
        "grant usage on schema dbtune to public; grant select, insert, update on dbtune.run, dbtune.step to public"
    )
    assert dbtune.json("apply", playbook, "--yes", dsn=dsn).statuses == ["unchanged"]
    assert len(dbtune.runs()) == 2
