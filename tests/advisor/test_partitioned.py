"""Indexes of partitioned tables, on a real server."""

from __future__ import annotations

import psycopg

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.partitioned import parts_of
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

SCHEMA = [
    "create table jobs (id int, owner int) partition by range (id)",
    "create table jobs_1 partition of jobs for values from (0) to (10)",
    "create table jobs_2 partition of jobs for values from (10) to (20)",
    "insert into jobs select n % 20, n from generate_series(1, 100) n",
    # Somebody has begun it.
    "create index begun on only jobs (owner)",
    "create index jobs_1_owner on jobs_1 (owner)",
    "alter index begun attach partition jobs_1_owner",
]


def test_an_index_that_lacks_partitions_is_gone_on_with(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        for statement in SCHEMA:
            owner.execute(statement.encode())
        with connect(database) as session:
            source = read_source(session, statements=False)
        parts = parts_of(IndexDefinition("public", "jobs", (IndexKey("owner"),)), "jobs_owner_idx", source)
        assert parts is not None
        for statement in parts.statements:
            owner.execute(statement.encode())
        assert owner.execute(parts.is_joined.encode()).fetchone() == (True,)
        names = "select relname from pg_class where relkind in ('i', 'I') and relnamespace = 'public'::regnamespace"
        assert {name for (name,) in owner.execute(names.encode())} == {"begun", "jobs_1_owner", "jobs_2_owner_idx"}
        for statement in parts.takes_back.split(";\n"):
            owner.execute(statement.encode())
        assert {name for (name,) in owner.execute(names.encode())} == {"jobs_1_owner"}
