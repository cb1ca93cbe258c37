"""How a plan is felt whose pages lie in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbtune.advisor.cached import Cache
from dbtune.advisor.source import Source
from dbtune.servers.embedded.twin import Twin

TABLE = ("public", "wide")
WARM, COLD = Cache(1.0, {TABLE: 10_000}), Cache(0.0, {TABLE: 10_000})


def _node(kind: str, cost: float, rows: float = 1.0, *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Total Cost": cost, "Plan Rows": rows, "Plans": list(below), **more}


SCAN = _node("Seq Scan", 12_500.0, 200_000, **{"Schema": "public", "Relation Name": "wide"})


def test_pages_read_in_order_cost_about_half_in_memory_and_all_on_disk() -> None:
    assert WARM.cost(SCAN) == pytest.approx(12_500 - 9_000 / 2)
    assert COLD.cost(SCAN) == pytest.approx(12_500)
    assert Cache(0.5, {TABLE: 10_000}).cost(SCAN) == pytest.approx(12_500 - 4_500 / 2)


def test_an_index_scan_of_all_entries_is_not_made_cheaper() -> None:
    narrow = _node("Index Only Scan", 9_000.0, 200_000)
    assert WARM.cost(narrow) == 9_000
    assert WARM.cost(narrow) > WARM.cost(SCAN)


def test_look_ups_near_each_other_cost_less_than_their_pages() -> None:
    def loop(kind: str, total: float) -> dict[str, Any]:
        outer = _node("Seq Scan", 100.0, 1_000, **{"Parent Relationship": "Outer"})
        inner = _node("Index Scan", 2.5, 4, **{"Parent Relationship": "Inner"})
        return _node(kind, total, 4_000, outer, inner)

    assert 100 < WARM.cost(loop("Nested Loop", 2_600.0)) < 2_100
    # A semi-join that ends each look-up early is reckoned so, and saves no more than it was to cost.
    assert WARM.cost(loop("Nested Loop", 800.0)) > 100


def test_rows_that_look_into_a_hash_table_cost_more_than_reckoned() -> None:
    outer = _node("Index Only Scan", 9_000.0, 1_000_000, **{"Parent Relationship": "Outer"})
    inner = _node("Hash", 10.0, 100, **{"Parent Relationship": "Inner"})
    assert WARM.cost(_node("Hash Join", 12_000.0, 1, outer, inner)) > 26_000


def test_what_a_limit_cuts_off_saves_nothing() -> None:
    assert WARM.cost(_node("Limit", 125.0, 10, SCAN)) == pytest.approx(125 - 90 / 2)


def test_no_plan_is_free_or_dearer_without_a_reason(shop: Source, shop_twin: Twin) -> None:
    cache = Cache.of(shop)
    assert cache.share == 1.0
    look_up = shop_twin.costs(["select * from orders where id = 5"])[0]
    assert cache.cost(look_up.plan) == look_up.total
    whole = shop_twin.costs(["select sum(total) from orders"])[0]
    assert whole.total is not None
    assert 0 < cache.cost(whole.plan) < whole.total


def test_a_database_larger_than_its_cache_is_judged_by_its_disk(shop: Source) -> None:
    small = replace(
        shop,
        settings=(*(one for one in shop.settings if one[0] != "effective_cache_size"), ("effective_cache_size", "8MB")),
    )
    assert Cache.of(small).share < 0.5
