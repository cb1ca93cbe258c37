"""The search over a whole workload, on a twin of the shop."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import psycopg
import pytest

from dbtune.advisor.analysis import Analysis, analyse
from dbtune.advisor.exploring import explore
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.prices import Prices, Term
from dbtune.advisor.recommend import Question, Recommended, recommend, value
from dbtune.advisor.referential import with_referential_checks
from dbtune.advisor.search import Search
from dbtune.advisor.source import Source
from dbtune.advisor.states import NO_LIMITS, Burden, Limits, State, States
from dbtune.advisor.trifles import NOTICED, without_trifles
from dbtune.advisor.what_if import StatementCost, WhatIf
from dbtune.advisor.workload import Observed, gather
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

WORKLOAD = {
    "select * from orders where customer_id = 7 order by placed_at desc limit 10": 1000.0,
    "select count(*) from orders where customer_id = 9": 500.0,
    "select sum(total) from orders where placed_at >= date '2024-03-01' and placed_at < date '2024-03-04'": 50.0,
    "select o.id from customers c join orders o on o.customer_id = c.id where c.email = 'user77@Example.org'": 200.0,
}


def _analyses(statements: dict[str, float], twin: Twin, source: Source) -> tuple[Analysis, ...]:
    return analyse(gather(Observed(sql, "file", weight) for sql, weight in statements.items()), twin, source).each


def _asked(statements: dict[str, float], twin: Twin, source: Source, limits: Limits = NO_LIMITS) -> Recommended:
    return recommend(Question(_analyses(statements, twin, source), twin, source, limits))


def test_the_workload_becomes_cheaper_and_every_index_is_missed(shop: Source, shop_twin: Twin) -> None:
    found = _asked(WORKLOAD, shop_twin, shop)
    assert found.recommendations
    assert found.cost_after < found.cost_before / 5
    for one in found.recommendations:
        assert one.benefit > 0
        assert one.queries, one.name
        assert one.size_bytes > 0


def test_what_is_left_of_an_advice_is_valued_anew(shop: Source, shop_twin: Twin) -> None:
    question = Question(_analyses(WORKLOAD, shop_twin, shop), shop_twin, shop)
    found = recommend(question)
    again = value(question, found.recommendations, found.drops)
    assert again.recommendations == found.recommendations
    assert (again.cost_before, again.cost_after) == pytest.approx((found.cost_before, found.cost_after))
    first, *rest = found.recommendations
    left = value(question, rest, found.drops)
    assert {one.name for one in left.recommendations} == {one.name for one in rest}
    assert left.cost_after == pytest.approx(found.cost_after + first.benefit)


def test_the_same_question_gets_the_same_answer(shop: Source, shop_twin: Twin) -> None:
    first, again = (_asked(WORKLOAD, shop_twin, shop) for _ in range(2))
    assert first == again
    backwards = dict(reversed(WORKLOAD.items()))
    ordered = _asked(backwards, shop_twin, shop)
    assert [one.definition for one in ordered.recommendations] == [one.definition for one in first.recommendations]


def test_limits_hold_and_cost_something(shop: Source, shop_twin: Twin) -> None:
    free = _asked(WORKLOAD, shop_twin, shop)
    whole = sum(one.size_bytes for one in free.recommendations)
    tight = _asked(WORKLOAD, shop_twin, shop, Limits(budget_bytes=whole // 2))
    assert sum(one.size_bytes for one in tight.recommendations) <= whole // 2
    assert tight.cost_before > tight.cost_after >= free.cost_after
    one_only = _asked(WORKLOAD, shop_twin, shop, Limits(indexes=1))
    assert len(one_only.recommendations) == 1
    one_each = _asked(WORKLOAD, shop_twin, shop, Limits(per_table=1))
    tables = [one.definition.table for one in one_each.recommendations]
    assert len(tables) == len(set(tables))


def test_a_budget_that_no_index_fits_into_gets_none(shop: Source, shop_twin: Twin) -> None:
    found = _asked(WORKLOAD, shop_twin, shop, Limits(budget_bytes=1))
    assert not found.recommendations
    assert found.cost_after == found.cost_before


def test_one_index_serves_two_statements_that_begin_alike(shop: Source, shop_twin: Twin) -> None:
    found = _asked(dict(itertools.islice(WORKLOAD.items(), 2)), shop_twin, shop)
    assert len(found.recommendations) == 1
    assert found.recommendations[0].definition.keys[0].column == "customer_id"
    assert len(found.recommendations[0].queries) == 2


@pytest.mark.parametrize("effort", [1.0, 10.0, 20.0, 40.0, 80.0, 160.0])
def test_an_end_in_the_middle_leaves_a_set_that_fits(effort: float, shop: Source, shop_twin: Twin) -> None:
    analyses = _analyses(WORKLOAD, shop_twin, shop)
    limits = Limits(budget_bytes=4 << 20, per_table=1)
    found = recommend(Question(analyses, shop_twin, shop, limits, most_effort=effort))
    assert found.recommendations
    assert found.cost_after < found.cost_before
    assert sum(one.size_bytes for one in found.recommendations) <= 4 << 20
    tables = [one.definition.table for one in found.recommendations]
    assert len(tables) == len(set(tables))


def test_what_is_never_called_is_no_reason_for_an_index(shop: Source, shop_twin: Twin) -> None:
    found = _asked({**WORKLOAD, "select * from tasks where owner_id = 7": 0.0}, shop_twin, shop)
    assert found.recommendations
    assert not [one for one in found.recommendations if one.definition.table == "tasks"]


def test_a_delete_that_found_no_row_looks_for_none_that_refers_to_it(shop: Source) -> None:
    delete = Observed("delete from customers where id = $1", "pg_stat_statements", 5.0, rows=0.0)
    assert len(with_referential_checks(gather([delete]), shop).statements) == 1
    assert len(with_referential_checks(gather([replace(delete, rows=1.0)]), shop).statements) > 1


def test_writers_are_heard(shop: Source, shop_twin: Twin) -> None:
    insert = "insert into orders (id, customer_id, placed_at) values (1, 2, now())"
    rarely = _asked({**WORKLOAD, insert: 1000.0}, shop_twin, shop)
    assert all(one.write_cost > 0 for one in rarely.recommendations if one.definition.table == "orders")
    mostly = _asked({**WORKLOAD, insert: 1e9}, shop_twin, shop)
    assert not [one for one in mostly.recommendations if one.definition.table == "orders"]


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_no_other_set_of_these_candidates_is_better(share: float, shop: Source, shop_twin: Twin) -> None:
    """Against all subsets of the ten candidates that plans use most."""
    analyses = _analyses(WORKLOAD, shop_twin, shop)
    terms = [Term(one.statement.text, one.statement.weight, number, one.tables) for number, one in enumerate(analyses)]
    definitions = dict.fromkeys(each for one in analyses for each in one.proposals.definitions)
    burdens = {
        one.definition: Burden(one.size_bytes) for one in shop_twin.add(definitions) if one.size_bytes is not None
    }
    chosen = dict(sorted(burdens.items())[:10])
    budget = int(share * sum(one.size_bytes for one in chosen.values()) / 2)

    def states() -> States:
        return States(Prices(shop_twin, terms), Limits(budget_bytes=budget))

    asked = states()
    pool = asked.extend(chosen)
    found = Search(asked, explore(asked, pool, lambda: False), 0, lambda _share: False).best()
    known = states()
    known.extend(chosen)
    best = min(_all_states(known, range(len(chosen))), key=lambda state: state.total)
    assert found.size_bytes <= budget
    # The search leaves out what brings less than a thousandth, or what no call would notice.
    gaps = [ours.cost - theirs.cost for ours, theirs in zip(found.prices, best.prices, strict=True)]
    assert found.total <= best.total * 1.005 or max(gaps) < NOTICED


def test_one_index_takes_the_place_of_two_that_begin_alike(shop: Source, shop_twin: Twin) -> None:
    # Each statement is a little cheaper with the narrow index of its own.
    statements = {
        "select max(placed_at) from orders where customer_id between 300 and 500": 1000.0,
        "select sum(total) from orders where customer_id between 7 and 200": 1000.0,
    }
    by_time, by_total = (
        IndexDefinition("public", "orders", tuple(map(IndexKey, columns)))
        for columns in (("customer_id", "placed_at"), ("customer_id", "total"))
    )
    both = replace(by_time, include=("priority", "total"))
    burdens = {one.definition: Burden(one.size_bytes or 0) for one in shop_twin.add([by_time, by_total, both])}
    assert burdens[both].size_bytes < burdens[by_time].size_bytes + burdens[by_total].size_bytes
    states = _states(statements, shop_twin, shop)
    pool = states.extend(burdens)
    two, one = (
        states.settled(states.step(states.before, add=mask))
        for mask in (states.prices.bit(by_time) | states.prices.bit(by_total), states.prices.bit(both))
    )
    assert two.total < one.total, "so that only their size speaks for the one"
    found = Search(states, explore(states, pool, lambda: False), 0, lambda _share: False).best()
    assert found.mask == one.mask


def test_no_index_stays_beside_a_longer_one_for_a_little(shop: Source, shop_twin: Twin) -> None:
    statements = {
        "select customer_id, max(placed_at) from orders group by 1": 1.0,
        "select customer_id, count(*) from orders group by 1": 1.0,
    }
    short, long = (
        IndexDefinition("public", "orders", tuple(map(IndexKey, columns)))
        for columns in (("customer_id",), ("customer_id", "placed_at"))
    )
    states = _states(statements, shop_twin, shop)
    pool = states.extend({one.definition: Burden(one.size_bytes or 0) for one in shop_twin.add([short, long])})
    alone, beside = (states.settled(states.step(states.before, add=mask)) for mask in (states.prices.bit(long), pool))
    gains = [1 - two.cost / one.cost for one, two in zip(alone.prices, beside.prices, strict=True)]
    assert 0.05 < max(gains) < 0.2, "so that it would stay if it were not the beginning of the other"
    assert without_trifles(states, beside, pool, lambda: False).mask == alone.mask


def test_what_may_not_stay_gives_way_to_what_is_next(shop: Source, shop_twin: Twin) -> None:
    short, long = (
        IndexDefinition("public", "orders", tuple(map(IndexKey, columns)))
        for columns in (("customer_id",), ("customer_id", "placed_at"))
    )
    states = _states({"select count(*) from orders where customer_id = 9": 1000.0}, shop_twin, shop)
    pool = states.extend({one.definition: Burden(one.size_bytes or 0) for one in shop_twin.add([short, long])})
    atoms = explore(states, pool, lambda: False)
    for passing, left in ((0, short), (states.prices.bit(short), long), (pool, None)):
        found = Search(states, atoms, passing, lambda _share: False).best()
        assert states.prices.candidates(found.mask) == ([left] if left else [])


def test_the_beginning_of_a_primary_key_is_not_advised(shop: Source, shop_twin: Twin) -> None:
    """It is smaller, and so a little cheaper to scan."""
    statements = {
        "select order_id, max(product_id) from order_items group by 1": 1.0,
        "select order_id, count(*) from order_items group by 1": 1000.0,
    }
    found = _asked(statements, shop_twin, shop)
    assert [[key.text for key in one.definition.keys] for one in found.recommendations] == []


def _states(statements: dict[str, float], twin: Twin, source: Source) -> States:
    analyses = _analyses(statements, twin, source)
    terms = [Term(one.statement.text, one.statement.weight, number, one.tables) for number, one in enumerate(analyses)]
    return States(Prices(twin, terms), NO_LIMITS)


def _all_states(states: States, bits: Iterable[int]) -> Iterable[State]:
    for number in range(11):
        for some in itertools.combinations(bits, number):
            mask = sum(1 << bit for bit in some)
            if states.fits(states.before, mask):
                yield states.settled(states.step(states.before, add=mask))


class _Slow:
    """A twin that takes its time, never the same."""

    def __init__(self, twin: Twin) -> None:
        self._twin, self.asked = twin, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._twin, name)

    def costs(self, statements: Sequence[str], *given: Any, **more: Any) -> Sequence[StatementCost]:
        self.asked += len(statements)
        time.sleep(0.001 * (self.asked % 3))
        return self._twin.costs(statements, *given, **more)


def test_work_and_not_time_bounds_the_search(shop: Source, shop_twin: Twin) -> None:
    analyses = _analyses(WORKLOAD, shop_twin, shop)
    slow = _Slow(shop_twin)
    limits = Limits(budget_bytes=4 << 20)
    question = Question(analyses, shop_twin, shop, limits, most_effort=60.0)
    assert recommend(question) == recommend(replace(question, what_if=cast(WhatIf, slow)))
    assert slow.asked


def _methods(statements: dict[str, float], twin: Twin, source: Source, budget_bytes: int) -> list[str]:
    found = _asked(statements, twin, source, Limits(budget_bytes=budget_bytes))
    return [one.definition.method for one in found.recommendations]


def test_brin_is_the_answer_where_a_b_tree_has_no_place(shop: Source, shop_twin: Twin) -> None:
    days = {"select count(*), max(payload) from events where happened_at between '2024-02-01' and '2024-02-03'": 100.0}
    assert _methods(days, shop_twin, shop, 256 << 10) == ["brin"]
    assert _methods(days, shop_twin, shop, 1 << 30) == ["btree"]


def test_hash_is_the_answer_where_values_are_long_and_bytes_are_few(shop: Source, shop_twin: Twin) -> None:
    one = {"select title from products where url = 'https://shop.example.org/catalogue/products/7'": 100.0}
    assert _methods(one, shop_twin, shop, 2 << 20) == ["hash"]


def test_an_index_that_does_the_work_of_one_that_is_there_replaces_it(shop: Source, shop_twin: Twin) -> None:
    some = {"select sum(c) from existing where created_at between '2024-01-10' and '2024-01-20'": 100.0}
    found = _asked(some, shop_twin, shop)
    (larger,) = found.recommendations
    assert larger.definition.keys[0].column == "created_at"
    assert larger.definition.columns[1:] == ("c",)
    assert {one.name: one.replaced_by for one in found.drops}["existing_created"] == larger.name
    # What the dropped one did before is not what its successor brings.
    assert larger.benefit == pytest.approx(found.cost_before - found.cost_after)


def test_the_reason_is_one_of_a_statement_that_is_served(shop: Source, shop_twin: Twin) -> None:
    some = {
        "select * from orders where customer_id = 7 order by placed_at desc": 100.0,
        "select sum(total) from orders where placed_at > '2025-03-28'": 10.0,
    }
    reasons = {one.definition.keys[0].column: one.why for one in _asked(some, shop_twin, shop).recommendations}
    assert reasons == {"customer_id": "equality", "placed_at": "a range, without reading the table"}


def test_what_a_statement_of_the_workload_uses_is_never_called_unused(shop: Source, shop_twin: Twin) -> None:
    long_ago = replace(shop, statistics_since="2020-01-01T00:00:00+00:00")
    some = {"select c from existing where a = 5 and b = 5": 1.0, "select count(*) from existing": 1.0}
    assert [one.name for one in _asked(some, shop_twin, long_ago).drops] == ["existing_created"]


def test_a_beginning_of_another_index_goes_even_if_it_is_a_little_smaller(shop: Source, shop_twin: Twin) -> None:
    found = _asked({"select d from existing where a < 50": 1.0}, shop_twin, shop, Limits(budget_bytes=8192))
    assert found.cost_after > found.cost_before * 1.001
    assert {one.name: one.replaced_by for one in found.drops} == {"existing_a": "existing_a_b"}


def test_what_a_partition_s_own_index_does_for_the_whole_table_is_seen() -> None:
    with (
        embedded_postgres({"fsync": "off"}) as server,
        psycopg.connect(server.dsn, autocommit=True) as owner,
        contextlib.closing(connect(server.dsn)) as session,
    ):
        owner.execute("create table days (day int not null, kind int not null) partition by range (day)")
        owner.execute("create table days_1 partition of days for values from (0) to (100000)")
        owner.execute("insert into days select n, n % 5000 from generate_series(1, 90000) n")
        owner.execute("create index used on days_1 (kind); create index idle on days_1 (day)")
        owner.execute("create table hours (hour int, kind int) partition by range (hour)")
        owner.execute("create table hours_1 partition of hours for values from (0) to (100000)")
        owner.execute("insert into hours select n, n % 5000 from generate_series(1, 90000) n")
        owner.execute("create index more on hours (kind, hour); create index less on hours (kind)")
        owner.execute("vacuum analyze")
        (less_bytes,) = owner.execute("select pg_relation_size('hours_1_kind_idx')").fetchone() or (0,)
        source = replace(read_source(session), statistics_since="2020-01-01T00:00:00+00:00")
    with open_twin(source) as twin:
        asked = {"select * from days where kind = 7": 1.0, "select * from hours where kind = 7": 1.0}
        drops = {one.table: one for one in _asked(asked, twin, source, Limits(budget_bytes=8192)).drops}
    assert {table: one.name for table, one in drops.items()} == {"days_1": "idle", "hours": "less"}
    # PostgreSQL refuses to drop a partitioned index concurrently; all its parts go with it.
    assert drops["hours"].ddl == 'drop index "public"."less"'
    assert drops["hours"].size_bytes == less_bytes > 0
