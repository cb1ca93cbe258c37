"""The workload as pg_stat_statements has it."""

from __future__ import annotations

import contextlib
import secrets

import psycopg
from psycopg import sql

from dbtune.advisor.workload import Observed, gather
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect


def test_calls_of_other_roles_are_counted_as_not_examined(database: str) -> None:
    role = f"dbtune_test_{secrets.token_hex(6)}"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")
        owner.execute("create table t (id int)")
        owner.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        try:
            owner.execute(sql.SQL("grant select on t to {}").format(sql.Identifier(role)))
            for _ in range(3):
                owner.execute("select count(*) from t")
            with contextlib.closing(connect(database)) as session:
                session.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))
                session.execute(b"select id from public.t")
                source = read_source(session)
        finally:
            owner.execute(sql.SQL("drop owned by {0}").format(sql.Identifier(role)))
            owner.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    workload = gather(
        Observed(one.query, "pg_stat_statements", float(one.calls), one.queryid) for one in source.statements
    )
    hidden = [one for one in workload.not_examined if "pg_read_all_stats" in one.reason]
    assert sum(one.weight for one in hidden) >= 3
    assert all(one.queryid is None for one in hidden)
    assert workload.examined_share < 1
    assert any("other roles" in one.reason for one in source.not_examined)
