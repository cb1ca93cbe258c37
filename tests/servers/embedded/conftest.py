"""A database with a bit of everything, and its twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from filled import filled

from dbtune.core.identifiers import quote
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

WEIRD = quote('we"ird ; drop', "T%able s")
SCHEMA = [
    'create schema "we""ird ; drop"',
    "create type mood as enum ('sad', 'it''s ok')",
    "create domain mail as text check (value like '%@%')",
    f"""create table {WEIRD} (id bigint generated always as identity primary key, "Col ""x" text collate "C", m mood,
        e mail, j jsonb, a int[], ts timestamptz, n numeric(10, 2))""",
    f"""insert into {WEIRD} ("Col ""x", m, e, j, a, ts, n)
        select 'v,"' || i % 10 || E'\\\\',
        case when i % 5 = 0 then 'sad' else 'it''s ok' end::mood, 'a@b' || i,
        jsonb_build_object('k', i, 'kind', 'a kind ' || i % 7),
        array[i % 7, i % 3], timestamptz '2024-01-01' + i * interval '1 min', i / 7.0
        from generate_series(1, 4000) i""",
    f"create index on {WEIRD} (lower(e), ts desc nulls last) where m = 'sad'",
    "create function plus_one(x int) returns int language sql immutable as 'select x + 1'",
    "create sequence counter",
    "create view numbers as select generate_series(1, 3) as n",
    "create function views_first() returns bigint language sql stable as 'select count(*) from numbers'",
    "create view after_function as select views_first() as n",
    "create table customers (id int primary key, region int not null, name text, email text)",
    "insert into customers select i, i % 20, 'name ' || i, 'u' || i || '@x' from generate_series(1, 10000) i",
    """create table orders (id int primary key, customer int references customers (id), placed date, status text,
        total numeric, note text)""",
    """insert into orders select i, (i * 7919) % 10000 + 1, date '2020-01-01' + i % 997,
        case when i * 13 % 97 = 0 then 'open' else 'done' end, (i % 5000) / 10.0, repeat('x', i % 60)
        from generate_series(1, 60000) i""",
    "create index orders_placed on orders (placed)",
    "create table part (id int, k int, v text, primary key (id, k)) partition by range (k)",
    *[f"create table part_{i} partition of part for values from ({i * 10}) to ({i * 10 + 10})" for i in range(8)],
    "create index part_v on part (v)",
    "insert into part select i, i % 80, 'v' || i % 100 from generate_series(1, 20000) i",
    "create view big as select customer, sum(total) as total from orders where status = 'done' group by customer",
    "create materialized view regions as select region, count(*) as n from customers group by region",
    "create unique index on regions (region)",
    "create table gone (a int, b text, c int)",
    "alter table gone drop column b",
    "insert into gone select i % 10, i % 10 from generate_series(1, 10000) i",
    "create statistics gone_both (dependencies, ndistinct, mcv) on a, c from gone",
    "create table parent (a int)",
    "create table heir (b int) inherits (parent)",
    "insert into heir select i, i from generate_series(1, 1000) i",
    "create table nothing ()",
    "vacuum analyze",
    # The planner counts on from the density that ANALYZE saw to the size that the file has now.
    "insert into part select i, i % 80, 'v' || i % 100 from generate_series(20001, 26000) i",
    "create table never (a int) with (autovacuum_enabled = off)",
    "insert into never select generate_series(1, 1000)",
]


@pytest.fixture(scope="session")
def shop_dsn(postgres_dsn: str) -> Iterator[str]:
    """A database with rows, and statistics of them."""
    with filled(postgres_dsn, SCHEMA) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def twin(shop_dsn: str) -> Iterator[Twin]:
    with connect(shop_dsn) as session:
        source = read_source(session, statements=False)
    with open_twin(source) as opened:
        yield opened
