"""How a plan is felt whose pages lie in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dbtune.advisor.cached import FELT, HARM, Cache, Felt
from dbtune.advisor.source import Column, ColumnStatistics, Source, Table
from dbtune.servers.embedded.twin import Twin

TABLE = ("public", "wide")
WARM, COLD = Cache(1.0, {TABLE: 10_000}), Cache(0.0, {TABLE: 10_000})


def _node(kind: str, cost: float, rows: float = 1.0, *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Total Cost": cost, "Plan Rows": rows, "Plans": list(below), **more}


def _cost(cache: Cache, plan: Mapping[str, Any]) -> float:
    return cache.felt(plan).cost


SCAN = _node("Seq Scan", 12_500.0, 200_000, **{"Schema": "public", "Relation Name": "wide"})


def test_pages_read_in_order_cost_little_in_memory_and_all_on_disk() -> None:
    assert _cost(WARM, SCAN) == pytest.approx(12_500 - 9_000 * FELT)
    assert _cost(COLD, SCAN) == pytest.approx(12_500)
    assert _cost(Cache(0.5, {TABLE: 10_000}), SCAN) == pytest.approx(12_500 - 4_500 * FELT)


def test_an_index_scan_of_all_entries_is_not_made_cheaper() -> None:
    narrow = _node("Index Only Scan", 9_000.0, 200_000)
    assert _cost(WARM, narrow) == 9_000
    assert _cost(WARM, narrow) > _cost(WARM, SCAN)


def _looked_up(inner_cost: float = 2.5, rows: float = 4, **more: Any) -> dict[str, Any]:
    """A thousand look-ups by `wide.owner`; ten rows have the same owner."""
    outer = _node("Seq Scan", 100.0, 1_000, **{"Parent Relationship": "Outer"})
    place = {"Parent Relationship": "Inner", "Schema": "public", "Relation Name": "wide"}
    inner = _node("Index Scan", inner_cost, rows, **place, **{"Index Cond": "(wide.owner = other.id)"}, **more)
    return _node("Nested Loop", 100.0 + 1_000 * inner_cost, 1_000 * rows, outer, inner)


def _with_owners(share: float, correlation: float) -> Cache:
    stats = ColumnStatistics("owner", inherited=False, null_frac=0.0, avg_width=4, n_distinct=-0.1)
    owner = Column(
        "owner", 1, "integer", "pg_catalog", "int4", "int4", "b", 4, "i", not_null=True,
        statistics=(replace(stats, correlation=correlation),),
    )  # fmt: skip
    table = Table(1, *TABLE, "r", (owner,), pages=10_000, relpages=10_000, rows=500_000)
    return Cache(share, {TABLE: 10_000}, tables={TABLE: table})


def test_look_ups_of_rows_side_by_side_cost_less_than_their_pages_and_scattered_ones_more() -> None:
    loop = _looked_up()
    assert 100 < _cost(_with_owners(1.0, 1.0), loop) < 2_100
    assert (
        _cost(_with_owners(1.0, 1.0), loop) < _cost(_with_owners(1.0, 0.5), loop) < _cost(_with_owners(1.0, 0.0), loop)
    )
    assert _cost(_with_owners(0.0, 0.0), loop) == pytest.approx(loop["Total Cost"], rel=0.2)
    # A semi-join that ends each look-up early is reckoned so, and saves no more than it was to cost.
    assert _cost(_with_owners(1.0, 1.0), loop | {"Total Cost": 800.0}) > 100


def test_rows_that_a_look_up_fetches_in_vain_are_felt_as_well() -> None:
    scattered = _with_owners(1.0, 0.0)
    few = _looked_up(rows=1, Filter="(wide.kind = 'rare'::text)")
    assert _cost(scattered, few) > _cost(scattered, _looked_up(rows=1)) * 1.5
    # But no more of them than the planner can have paid for.
    assert _cost(scattered, _looked_up(0.5, 1, Filter="(wide.kind = 'rare'::text)")) < _cost(scattered, few)


def test_rows_that_look_for_one_of_many_groups_cost_more_than_reckoned() -> None:
    def grouped(strategy: str, groups: float) -> dict[str, Any]:
        entries = _node("Index Only Scan", 9_000.0, 1_000_000, **{"Parent Relationship": "Outer"})
        return _node("Aggregate", 12_000.0, groups, entries, Strategy=strategy)

    assert _cost(WARM, grouped("Sorted", 200_000)) == _cost(WARM, grouped("Hashed", 4)) == 12_000
    assert _cost(WARM, grouped("Hashed", 200_000)) > 40_000


def test_rows_that_look_into_a_hash_table_cost_more_than_reckoned() -> None:
    outer = _node("Index Only Scan", 9_000.0, 1_000_000, **{"Parent Relationship": "Outer"})
    inner = _node("Hash", 10.0, 100, **{"Parent Relationship": "Inner"})
    assert _cost(WARM, _node("Hash Join", 12_000.0, 1, outer, inner)) > 26_000


def test_what_a_limit_cuts_off_saves_nothing() -> None:
    assert _cost(WARM, _node("Limit", 125.0, 10, SCAN)) == pytest.approx(125 - 90 * FELT)


def test_no_plan_is_free_or_dearer_without_a_reason(shop: Source, shop_twin: Twin) -> None:
    cache = Cache.of(shop)
    assert cache.share == 1.0
    look_up = shop_twin.costs(["select * from orders where id = 5"])[0]
    assert _cost(cache, look_up.plan) == look_up.total
    whole = shop_twin.costs(["select sum(total) from orders"])[0]
    assert whole.total is not None
    assert 0 < _cost(cache, whole.plan) < whole.total


def test_a_database_larger_than_its_cache_is_judged_by_its_disk(shop: Source) -> None:
    small = replace(
        shop,
        settings=(*(one for one in shop.settings if one[0] != "effective_cache_size"), ("effective_cache_size", "8MB")),
    )
    assert Cache.of(small).share < 0.5


def test_a_plan_that_memory_makes_slower_than_none_is_a_loss_whatever_is_planned() -> None:
    bare = Felt(planned=200_000, in_memory=100_000)
    assert Felt(70_000, 105_000).beside(bare) < bare.cost
    assert Felt(70_000, 100_000 * HARM + 20_000).beside(bare) == bare.cost + 20_000
    # What is dearer by the planner's word as well is no less dear for it.
    assert Felt(400_000, 200_000).beside(bare) == Felt(400_000, 200_000).cost > bare.cost
