"""Whose names are found: PostgreSQL's own by dbtune's statements, the role's by what a person wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg import conninfo, sql
from traps import plant, sprung

# A person's SQL is read on the role's path, where traps lie as well: this names nothing of PostgreSQL's.
FIRST = "select id from app.orders order by id limit 3"
PLAYBOOK = """
version: 1
name: shop
steps:
  - slow_log: {min_duration: 100ms, statements: mod}
  - index: {table: app.orders, columns: [customer, id desc], name: by_customer}
  - index: {table: app.orders, columns: [note], unique: true, where: customer is not null}
  - explain: {sql: select id from app.orders order by id limit 3}
  - setting: {name: work_mem, value: 64MB, scope: database}
  - analyze: {tables: [app.orders]}
  - sql: {apply: "create table app.extra ()", rollback: drop table app.extra}
  - invalidate_on: {table: app.orders, event: order.changed, arguments: {id: id}, columns: [note]}
  - cache_warm: {key: "order:{id}", query: "select id, customer, note from app.orders", ttl: 1h}
  - cache_warm: {key: "hash:{id}", query: "select id, note from app.orders", ttl: 1h, type: hash, ttl_column: id}
  - cache_warm: {key: "of:{customer}", query: "select * from app.orders", ttl: 1h, type: zset, value: note, score: id}
  - cache_warm: {key: "list:{id}", query: "select * from app.orders", ttl: 1h, type: list, value: words}
  - cache_warm:
      {key: "new:{raw}", query: "select * from app.orders", ttl: 1h, mode: newer, version: id, with: {all: "select 1"}}
cache:
  events: {order.changed: {keys: ["order:{id}"]}}
"""
PROBES = ("--probe", f"probe={FIRST}", "--statement", f"statement={FIRST}")


@pytest.fixture
def trapped(dbtune: Any, cache_url: str, postgres_server: Any) -> Iterator[Any]:
    """Somebody who may create in `public` has planted all that dbtune names, and `public` is looked through first."""
    if postgres_server.log is None:
        pytest.skip("this server's log is not at hand")
    role, name = "dbtune_planter", conninfo.conninfo_to_dict(dbtune.dsn)["dbname"]
    with psycopg.connect(dbtune.dsn, autocommit=True) as owner:
        owner.execute(
            "create schema app; create table app.orders (id bigint primary key, customer int, note text,"
            " words text[], raw bytea)"
        )
        owner.execute(
            "insert into app.orders select i, i % 100, 'note ' || i, '{a,b}', int8send(i)"
            " from generate_series(1, 500) i"
        )
        owner.execute("create extension pg_stat_statements schema app")
        owner.execute(f"create role {role}".encode())
        owner.execute(f"grant create on schema public to {role}".encode())
        try:
            planted = plant(owner, role)
            assert planted > {"count", "set_config", "quote_ident", "pg_try_advisory_lock", "=", "pg_class", "text"}
            altered = sql.SQL("alter database {} set search_path = public, pg_catalog")
            owner.execute(altered.format(sql.Identifier(str(name))))
            dbtune.environment["REDIS_URL"] = cache_url
            yield dbtune
        finally:
            owner.execute(f"drop owned by {role} cascade".encode())
            owner.execute(f"drop role {role}".encode())


@pytest.mark.slow
def test_nothing_that_others_planted_on_the_path_is_run_by_dbtune(trapped: Any, postgres_server: Any) -> None:
    log: Path = postgres_server.log
    start, playbook = log.stat().st_size, trapped.playbook(PLAYBOOK)
    for arguments in (
        ("audit", "--window", "300ms", "--windows", "2"),
        ("advise", "--sql", "select * from app.orders where customer = 7"),
        ("twin", "dump", str(trapped.home / "dump")),
        ("explain", FIRST, "--analyze"),
        ("explain", "select id from app.orders order by id limit $1"),
        ("plan", playbook),
        ("apply", playbook, "--yes"),
        ("verify", playbook),
        ("warm", playbook),
        ("history",),
        ("baseline", "capture", "one", "--window", "300ms", "--windows", "2", "--repeat", "5", *PROBES),
        ("rollback", "last", "--yes"),
    ):
        if arguments[0] == "rollback":
            trapped.sql("update app.orders set note = null")  # What invalidate_on has installed runs with it.
        answer = trapped.run(*arguments)
        assert (sprung(log, start), answer.code) == ([], 0), (arguments, answer)


APP = """
create function app.short(text) returns text immutable language sql as 'select left($1, 20)';
create table app.orders (id bigint primary key, customer int, note text);
insert into app.orders select i, i % 500, 'note ' || i from generate_series(1, 20000) i;
create table public.orders (id bigint); create index by_customer on public.orders (id);
analyze
"""
BOOK = """
version: 1
name: shop
steps:
  - index: {table: orders, columns: [customer], expressions: ["short(note)"], where: "short(note) <> ''", name: short}
  - index: {table: orders, columns: [id], expressions: ["short(note)"], unique: true, name: by_both}
  - analyze: {tables: [orders]}
  - explain: {sql: "select short(note) from orders where id = 7", expect: {uses_index: true}}
  - sql: {apply: create table extra (), verify: "select count(*) = 0 from extra", rollback: drop table extra}
  - invalidate_on: {table: orders, event: order.changed, arguments: {id: id}}
  - cache_warm: {key: "order:{id}", query: "select id, short(note) as note from orders", ttl: 1h}
cache:
  events: {order.changed: {keys: ["order:{id}"]}}
"""


@pytest.fixture
def applicant(dbtune: Any, cache_url: str) -> Iterator[tuple[Any, str]]:
    """A role that reaches its tables by its search path only; one of the same name lies in `public`."""
    role = "dbtune_applicant"
    with psycopg.connect(dbtune.dsn, autocommit=True) as owner:
        owner.execute(f"create role {role} login superuser; alter role {role} set search_path = app".encode())
        owner.execute("create schema app")
        owner.execute(APP.encode())
        dbtune.environment["REDIS_URL"] = cache_url
        try:
            yield dbtune, conninfo.make_conninfo(dbtune.dsn, user=role)
        finally:
            owner.execute(f"reassign owned by {role} to current_user; drop role {role}".encode())


def test_a_person_s_own_names_are_found_on_the_path_of_their_role(applicant: tuple[Any, str]) -> None:
    dbtune, dsn = applicant
    playbook = dbtune.playbook(BOOK)
    applied = dbtune.json("apply", playbook, "--yes", dsn=dsn)
    assert applied.statuses == ["applied", "applied", "unchanged", "unchanged", *["applied"] * 3], applied
    assert dbtune.json("plan", playbook, dsn=dsn).statuses[:3] == ["in_sync"] * 3
    assert dbtune.json("verify", playbook, dsn=dsn).code == 0
    made = dbtune.sql(
        "select relname::text from pg_class where relnamespace = 'app'::regnamespace and oid > 'app.orders'::regclass"
        " union select proname::text from pg_proc where pronamespace = 'app'::regnamespace and prorettype = 2279"
    )
    assert {"short", "by_both", "extra"} < {name for (name,) in made}
    with redis.Redis.from_url(dbtune.environment["REDIS_URL"]) as client:
        assert client.get("order:7") == b'{"id":7,"note":"note 7"}'
    advice = dbtune.json("advise", "--sql", "select id from orders where customer = 7 order by id", dsn=dsn)
    assert advice.code == 0, advice
    assert {one["table"] for one in advice.document["recommendations"]} <= {"app.orders"}
    rolled_back = dbtune.json("rollback", "last", "--yes", dsn=dsn)
    assert rolled_back.code == 0, rolled_back
    assert dbtune.sql("select to_regclass('app.extra'), to_regclass('app.short')") == [(None, None)]
