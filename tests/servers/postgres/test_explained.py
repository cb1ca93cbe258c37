"""Plans of a person's statement: for given values, and for whatever values may come, on every version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dbtune.core.questions import Explained, Failed
from dbtune.servers.postgres.answers import answer
from dbtune.servers.postgres.session import Connection, connect

BY_OWNER = "select * from items where owner = $1"
# A reader who knows less of SQL than the server takes the whole for one string.
SMUGGLED = r"and note = '\'; commit; set default_transaction_read_only = off; commit; drop table items; --'"


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table items (id bigint primary key, owner int, note text)")
        owner.execute("insert into items select i, i % 1000, 'x' from generate_series(1, 20000) i")
        owner.execute("create index by_owner on items (owner)")
        owner.execute("create table parts (id int, day date) partition by range (day)")
        for year in (2025, 2026):
            owner.execute(
                f"create table p{year} partition of parts for values from ('{year}-01-01') to ('{year}-12-31')"
            )
        owner.execute("analyze")
    with connect(database) as session:
        yield session


def explain(session: Connection, sql: str, *params: Any, analyze: bool = False) -> Any:
    question = Explained(sql, params, analyze=analyze)
    return answer(session, [question])[question]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_given_values_are_planned_for_and_executed_where_that_is_asked(session: Connection) -> None:
    planned = explain(session, BY_OWNER, 7)
    executed = explain(session, BY_OWNER, 7, analyze=True)
    assert "Execution Time" not in planned
    assert executed["Plan"]["Actual Rows"] == 20
    assert any("'7'" in str(node.get("Index Cond")) for node in nodes(planned["Plan"]))


def test_parameters_without_values_get_the_generic_plan(session: Connection) -> None:
    plan = explain(session, BY_OWNER)["Plan"]
    assert any(node.get("Index Name") == "by_owner" for node in nodes(plan))
    assert any("$1" in str(node.get("Index Cond")) for node in nodes(plan))
    several = explain(session, "select * from items where id = $1 and note = $2 limit $3")["Plan"]
    assert {node.get("Index Name") for node in nodes(several)} >= {"items_pkey"}


@pytest.mark.parametrize(
    "sql",
    [
        "update items set note = $2 where id = $1",
        "insert into items values ($1, $2, 'y')",
        "delete from items where id = $1",
    ],
)
def test_a_statement_that_writes_is_explained_without_writing(session: Connection, sql: str) -> None:
    assert explain(session, sql)["Plan"]["Node Type"] == "ModifyTable"
    assert session.execute("select count(*) from public.items where note = 'x'").fetchone() == (20000,)


@pytest.mark.pg(">= 16")
def test_a_generic_plan_keeps_all_partitions(session: Connection) -> None:
    """EXPLAIN EXECUTE, which there is below 16, prunes those that its nulls exclude."""
    plan = explain(session, "select * from parts where day = $1")["Plan"]
    assert {node["Relation Name"] for node in nodes(plan) if "Relation Name" in node} == {"p2025", "p2026"}


@pytest.mark.parametrize("broken", ["select * from itmes where id = $1", "select $1 from items group by nothing"])
def test_a_statement_that_fails_leaves_the_next_one_in_peace(session: Connection, broken: str) -> None:
    assert isinstance(explain(session, broken), Failed)
    assert explain(session, BY_OWNER)["Plan"]
    assert explain(session, BY_OWNER)["Plan"]


def test_a_missing_privilege_is_told_as_such_again_and_again(session: Connection) -> None:
    """The refusal comes after PREPARE, and must not leave its statement behind."""
    session.execute("set role pg_monitor")
    for _ in range(2):
        failed = explain(session, BY_OWNER)
        assert isinstance(failed, Failed)
        assert "permission denied for table items" in failed.reason
        assert failed.for_lack_of_privilege
    assert session.execute("select * from pg_prepared_statements").fetchall() == []


@pytest.mark.parametrize("params", [(), (7,)], ids=["generic", "with values"])
def test_a_second_statement_is_refused_however_it_hides(session: Connection, params: tuple[int, ...]) -> None:
    for hidden in (SMUGGLED, "; commit; drop table items"):
        assert isinstance(explain(session, f"{BY_OWNER} {hidden}", *params), Failed)
    assert session.execute("select count(*) from public.items").fetchone() == (20000,)
