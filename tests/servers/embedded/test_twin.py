"""The twin against the server that it is a twin of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.core.errors import Misused
from dbtune.core.identifiers import quote
from dbtune.servers.embedded.twin import Twin

WEIRD = quote('we"ird ; drop', "T%able s")
SIMPLE = [
    "select * from customers where region = 3",
    "select * from orders where placed between '2020-03-01' and '2020-03-05'",
    "select count(*) from orders where status = 'open' and total > 100",
    "select * from orders where id = 17",
    "select * from orders where id in (1, 2, 3) order by placed",
    "select c.name, o.total from orders o join customers c on c.id = o.customer where o.placed = '2020-05-05'",
    "select * from part where k = 15 and v = 'v3'",
    "select * from gone where a = 1 and c = 1",
    "select * from after_function",
    "insert into orders (id) values (nextval('counter'))",
    "select * from parent where a = 3",
    "select * from never where a < 5",
    "select n from regions where region = 3",
    "update orders set status = 'done' where id = 3",
    "delete from customers where id = 1",
    f'select * from {WEIRD} where "Col ""x" = \'v,"3\\\'',
    f"select 1 from {WEIRD} where m = 'sad' and lower(e) = 'a@b5'",
]
MORE = [
    "select * from big where customer = 77",
    "select a, c, count(*) from gone group by 1, 2",
    "select * from part where id = $1 and k = $2",
    "select * from orders where customer = $1 order by placed desc limit 10",
    "select count(*) from customers c where not exists (select from orders o where o.customer = c.id)",
    "insert into gone select id, region from customers where region < 5",
    pytest.param(
        "merge into gone using never on gone.a = never.a when matched then update set c = 1",
        marks=pytest.mark.pg(">= 15"),
    ),
    "select * from part p join gone g on g.a = p.k where g.c = 3 order by p.v limit 5",
    f"select * from {WEIRD} where n between 100 and 200 order by ts",
    "with x as materialized (select * from orders where total > 490) select 1 from x join customers c on c.id = x.id",
    "select distinct on (customer) customer, placed from orders order by customer, placed desc",
    "select name, rank() over (partition by region order by name) from customers",
]


def index(table: str, *keys: str | IndexKey, schema: str = "public", **rest: Any) -> IndexDefinition:
    made = tuple(IndexKey(key) if isinstance(key, str) else key for key in keys)
    return IndexDefinition(schema, table, made, **rest)


BY_CUSTOMER = index("orders", "customer", IndexKey("placed", descending=True))
CANDIDATES = [
    BY_CUSTOMER,
    index("orders", "placed", "total"),
    index("orders", "customer", include=("total",)),
    index("orders", "status", "placed"),
    index("orders", "total"),
    index("orders", "note"),
    index("orders", "customer", where="status = 'open'"),
    index("orders", "id", "customer"),
    index("orders", "placed", method="brin"),
    index("orders", "customer", method="hash"),
    index("customers", "region"),
    index("customers", "email"),
    index("customers", "name", "region"),
    index("customers", IndexKey(expression="lower(email)")),
    index("gone", "a", "c"),
    index("part", "v", "k"),
    index("T%able s", 'Col "x', "ts", schema='we"ird ; drop'),
    index("T%able s", "m", schema='we"ird ; drop'),
    index("T%able s", IndexKey(expression="j ->> 'k'::text"), "ts", schema='we"ird ; drop'),
    index("T%able s", IndexKey(expression="((j ->> 'k'::text))::integer"), schema='we"ird ; drop'),
    index("T%able s", IndexKey(expression="j ->> 'kind'::text"), schema='we"ird ; drop'),
]


@pytest.fixture
def session(shop_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """As an application's: with the server's own settings."""
    with psycopg.connect(shop_dsn, autocommit=True) as opened:
        yield opened


def planned(session: psycopg.Connection[Any], statement: str) -> dict[str, Any]:
    generic = "$1" in statement and session.info.server_version >= 160000
    explained = statement
    if "$1" in statement and not generic:
        nulls = ", ".join(["null"] * len(set(re.findall(r"\$\d", statement))))
        session.execute(f"deallocate all; set plan_cache_mode = force_generic_plan; prepare p as {statement}".encode())
        explained = f"execute p ({nulls})"
    options = "format json, generic_plan" if generic else "format json"
    row = session.execute(f"explain ({options}) {explained}".encode()).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def shape(node: Any) -> tuple[Any, ...]:
    below = tuple(shape(child) for child in node.get("Plans", ()))
    return (node["Node Type"], node.get("Relation Name"), node.get("Index Name"), *below)


@pytest.mark.parametrize("statement", SIMPLE)
def test_a_statement_is_planned_and_costs_as_on_the_server_itself(
    statement: str, twin: Twin, session: psycopg.Connection[Any]
) -> None:
    ours, theirs = twin.plan(statement), planned(session, statement)
    assert shape(ours.document["Plan"]) == shape(theirs)
    assert ours.root.total_cost == pytest.approx(theirs["Total Cost"], rel=0.01)


@pytest.mark.parametrize("statement", MORE)
def test_harder_statements_are_planned_the_same(statement: str, twin: Twin, session: psycopg.Connection[Any]) -> None:
    ours, theirs = twin.plan(statement), planned(session, statement)
    assert shape(ours.document["Plan"]) == shape(theirs)
    assert twin.costs([statement])[0].total == pytest.approx(theirs["Total Cost"], rel=0.01)


@pytest.mark.parametrize("definition", CANDIDATES, ids=lambda one: one.name)
def test_the_size_of_a_candidate_is_within_a_fifth_of_what_is_built(
    definition: IndexDefinition, twin: Twin, session: psycopg.Connection[Any]
) -> None:
    candidate = twin.add([definition])[0]
    with session.transaction(force_rollback=True):
        session.execute(definition.ddl(name="built").encode())
        row = session.execute(
            "select coalesce((select sum(pg_relation_size(relid)) from pg_partition_tree(built)),"
            " pg_relation_size(built)) from (select to_regclass(%s) as built) as built",
            (quote(definition.schema, "built"),),
        ).fetchone()
    assert row is not None
    real = float(row[0] or 0)
    assert candidate.reason is None
    # A page more or less is much of a small index.
    pages = 16 if definition.table == "part" else 2
    assert candidate.size_bytes == pytest.approx(real, rel=0.2, abs=pages * 8192)


@pytest.mark.parametrize(
    ("definition", "statement"),
    [
        (BY_CUSTOMER, "select * from orders where customer = 77 order by placed desc limit 3"),
        (index("orders", "customer", include=("total",)), "select sum(total) from orders where customer = 77"),
        (index("orders", "customer", where="status = 'open'"), "select * from orders where status = 'open' limit 9"),
        (index("customers", "email"), "select * from customers where email = 'u5@x'"),
        (index("orders", "placed", method="brin"), "select count(*) from orders where placed > '2022-09-20'"),
        (index("orders", "customer", method="hash"), "select * from orders where customer = 5"),
        (index("gone", "a", "c"), "select * from gone where a = 1 and c = 2"),
        (index("part", "v", "k"), "select * from part where v = 'v3' order by k"),
    ],
    ids=lambda one: one.name if isinstance(one, IndexDefinition) else "",
)
def test_with_an_index_it_costs_what_it_costs_once_the_index_is_built(
    definition: IndexDefinition, statement: str, twin: Twin, session: psycopg.Connection[Any]
) -> None:
    twin.add([definition])
    ours = twin.plan(statement, active=[definition])
    with session.transaction(force_rollback=True):
        # A build counts the rows anew; the plan before it is not the matter here.
        session.execute(definition.ddl(name="built").encode())
        theirs = planned(session, statement)
    assert [node.kind for node in ours.nodes] == list(_kinds(theirs))
    assert ours.root.total_cost == pytest.approx(theirs["Total Cost"], rel=0.01)


def _kinds(node: Any) -> Iterator[str]:
    yield node["Node Type"]
    for child in node.get("Plans", ()):
        yield from _kinds(child)


def test_indexes_are_switched_on_and_off(twin: Twin) -> None:
    statement = "select * from orders where customer = 77 order by placed desc limit 3"
    twin.add([BY_CUSTOMER])
    without, with_it, again = (twin.costs([statement], active=active)[0] for active in ([], [BY_CUSTOMER], []))
    assert with_it.total is not None
    assert without.total is not None
    assert with_it.total < without.total / 10
    assert with_it.candidates == {BY_CUSTOMER}
    assert (without.candidates, again) == (frozenset(), without)


def test_what_was_set_aside_is_back_when_it_is_asked_about(twin: Twin) -> None:
    by_value = index("part", "v", "id", "k")
    for statement, candidate in (
        ("select * from orders where customer = 78 order by placed desc limit 3", BY_CUSTOMER),
        ("select id, k from part where v = 'v3' order by id", by_value),
    ):
        twin.add([candidate])
        without, with_it = (twin.costs([statement], active=active) for active in ([], [candidate]))
        # Switched on or off, it is not looked at; another may be made beside it.
        for active in ([candidate], []):
            twin.costs([statement], active=active)
            twin.set_aside([candidate])
            twin.add([index(candidate.table, *reversed(candidate.keys))])
        assert twin.costs([statement]) == without
        twin.set_aside([candidate])
        assert twin.costs([statement], active=[candidate]) == with_it
        assert with_it[0].candidates == {candidate}


def test_an_existing_index_is_named_where_it_is_used_and_can_be_taken_away(twin: Twin) -> None:
    statement = "select * from orders where placed = '2020-05-05'"
    name = quote("public", "orders_placed")
    used, without = twin.costs([statement])[0], twin.costs([statement], dropped=[name])[0]
    assert used.existing == {name}
    assert without.existing == frozenset()
    assert (without.total or 0) > (used.total or 0)


def test_an_index_of_a_partitioned_table_is_taken_away_from_all_its_parts(twin: Twin) -> None:
    statement = "select * from part where v = 'v3'"
    parent = quote("public", "part_v")
    assert twin.costs([statement])[0].existing
    assert not twin.costs([statement], dropped=[parent])[0].existing


def test_a_statement_that_cannot_be_planned_spoils_no_other(twin: Twin) -> None:
    bad = ["select nope", "", "select 1; drop table orders", "create table x (a int)", "select * from missing", "\x00"]
    costs = twin.costs([*bad, "select 1"])
    assert [one.total is None and bool(one.reason) for one in costs[:-1]] == [True] * len(bad)
    assert costs[-1].total is not None
    assert twin.costs(["select * from orders where id = 1"])[0].total is not None
    with pytest.raises(Misused, match="missing"):
        twin.plan("select * from missing")


def test_a_candidate_that_cannot_be_says_why(twin: Twin) -> None:
    bad = [index("missing", "a"), index("orders", "missing"), index("big", "customer"), index("nothing", "a")]
    found = twin.add([*bad, BY_CUSTOMER])
    assert all(one.size_bytes is None and one.reason for one in found[:-1])
    assert found[-1].reason is None
    assert twin.costs(["select 1"], active=bad)[0].total is not None


def test_a_partial_candidate_holds_the_rows_that_its_condition_leaves(twin: Twin) -> None:
    candidate = twin.add([index("orders", "customer", where="status = 'open'")])[0]
    assert candidate.rows == pytest.approx(600, rel=0.3)


def test_a_candidate_on_a_table_that_nobody_analyzed_has_the_rows_that_the_planner_guesses(twin: Twin) -> None:
    candidate = twin.add([index("never", "a")])[0]
    assert (candidate.rows or 0) > 500
    assert candidate.heuristic


def test_what_constrains_is_never_to_be_dropped(twin: Twin) -> None:
    found = {one.name: one for one in twin.existing}
    assert found["orders_pkey"].kept_because == "it is the primary key"
    assert not found["regions_region_idx"].is_droppable
    assert found["orders_placed"].is_droppable
    assert found["orders_placed"].definition == index("orders", "placed")
    assert not found["part_1_v_idx"].is_droppable


def test_a_table_that_nobody_analyzed_is_said(twin: Twin) -> None:
    gaps = {one.check: one for one in twin.not_examined}
    assert gaps[f"statistics of {quote('public', 'never')}"].hint == f"analyze {quote('public', 'never')}"


def test_writes_are_counted(twin: Twin) -> None:
    facts = {one.name: one for one in twin.tables}
    assert facts["orders"].rows == pytest.approx(60000, rel=0.01)
    assert facts["orders"].inserted is not None
