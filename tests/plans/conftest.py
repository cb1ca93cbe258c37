"""A database in which every insight can be made to fire, and to stay quiet."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo, sql

WORKLOAD = """
create table big (id int primary key, a int, b int, c int, k int, note text) with (autovacuum_enabled = off);
insert into big select i, i % 40, i % 40, i % 40, i % 10, repeat('x', 300) from generate_series(1, 50000) i;
create index big_a on big (a);
create index big_k on big (k);
create table s1 (id int primary key, a int, b int) with (autovacuum_enabled = off);
create table s2 (id int primary key, a int, b int) with (autovacuum_enabled = off);
insert into s1 select i, i % 10, i % 7 from generate_series(1, 100) i;
insert into s2 select i, i % 10, i % 7 from generate_series(1, 100) i;
create table parent (id int primary key) with (autovacuum_enabled = off);
create table child (id int primary key, parent_id int references parent) with (autovacuum_enabled = off);
insert into parent select generate_series(1, 200);
insert into child select i, 200 from generate_series(1, 20000) i;
create table lonely (id int primary key) with (autovacuum_enabled = off);
insert into lonely select generate_series(1, 200);
create table late (id int primary key, kind text) with (autovacuum_enabled = off);
insert into late select i, case when i > 19990 then 'rare' else 'common' end from generate_series(1, 20000) i;
vacuum analyze;
create table visited (id int primary key) with (autovacuum_enabled = off);
insert into visited select generate_series(1, 5000);
create table unseen (id int, note text) with (autovacuum_enabled = off);
insert into unseen select i, 'x' from generate_series(1, 5000) i
"""


@pytest.fixture(scope="module")
def workload(postgres_dsn: str) -> Iterator[str]:
    """The DSN of a database with tables of known shapes, shared by the tests of a module."""
    name = f"dbtune_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    dsn = conninfo.make_conninfo(postgres_dsn, dbname=name)
    with psycopg.connect(dsn, autocommit=True) as session:
        for statement in WORKLOAD.split(";"):
            session.execute(statement.encode())
    yield dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
