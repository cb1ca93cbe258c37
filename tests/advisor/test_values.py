"""Typical values, on the statistics of the shop."""

from __future__ import annotations

import pytest

from dbtune.advisor.analysis import Analysis, analyse
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Source
from dbtune.advisor.workload import Observed, gather
from dbtune.servers.embedded.twin import Twin


def _analysed(sql: str, shop: Source, twin: Twin, rows: float | None = None) -> Analysis:
    analyses = analyse(gather([Observed(sql, "pg_stat_statements", 10, rows=rows)]), twin, shop)
    assert not analyses.workload.not_examined
    return analyses.each[0]


def _texts(sql: str, shop: Source, twin: Twin, rows: float | None = None) -> dict[str, str]:
    return {one.label: one.sql for one in _analysed(sql, shop, twin, rows).statement.variants}


def test_a_skewed_column_is_planned_for_a_common_and_a_rare_value(shop: Source, shop_twin: Twin) -> None:
    analysis = _analysed("select * from orders where state = $1", shop, shop_twin)
    found = {one.label: one for one in analysis.statement.variants}
    assert found["common"].sql == "select * from orders where state = 'done'"
    assert found["rare"].sql in {f"select * from orders where state = '{one}'" for one in ("pending", "failed")}
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    common, rare = (shop_twin.plan(found[label].sql).root.planned_rows or 0 for label in ("common", "rare"))
    assert common > 100 * rare


def test_evenly_spread_values_need_the_generic_plan_alone(shop: Source, shop_twin: Twin) -> None:
    assert list(_texts("select * from customers where email = $1", shop, shop_twin)) == ["any value"]


def test_a_limit_is_as_large_as_the_rows_that_a_call_returned(shop: Source, shop_twin: Twin) -> None:
    sql = "select * from orders where id = $1 order by total limit $2 offset $3"
    assert _texts(sql, shop, shop_twin, 25)["any value"].endswith("limit 25 offset 0")
    assert _texts(sql, shop, shop_twin)["any value"].endswith("limit 10 offset 0")


def test_where_the_planner_can_only_guess_the_limit_may_not_be_reached(shop: Source, shop_twin: Twin) -> None:
    sql = "select * from products where search @@ to_tsquery($1) order by price limit $2"
    found = _texts(sql, shop, shop_twin, 20)
    assert found["any value"].endswith("limit 20")
    assert found["rare"].endswith("limit null")
    gin = IndexDefinition("public", "products", (IndexKey("search"),), method="gin")
    by_price = IndexDefinition("public", "products", (IndexKey("price"),))
    shop_twin.add([gin, by_price])
    # Only where the limit is not reached is the order no way out.
    assert not shop_twin.costs([found["rare"]], active=[by_price])[0].candidates
    assert shop_twin.costs([found["rare"]], active=[gin, by_price])[0].candidates == {gin}


@pytest.mark.parametrize(
    ("rows", "unfilled"), [(20, {"rare"}), (19.5, {"median", "rare"}), (2.5, {"common", "median", "rare"})]
)
def test_a_broken_number_of_rows_tells_that_a_search_box_did_not_fill_its_page(
    rows: float, unfilled: set[str], shop: Source, shop_twin: Twin
) -> None:
    found = _texts("select * from customers where city ilike $1 limit $2", shop, shop_twin, rows)
    assert {label for label, text in found.items() if text.endswith("limit null")} == unfilled


def test_the_beginning_of_a_pattern_is_tried(shop: Source, shop_twin: Twin) -> None:
    found = _texts("select * from customers where city like $1", shop, shop_twin)
    assert found["median"].endswith("%'")
    assert found["common"].split("like ")[1].startswith("'%")


def test_a_range_with_two_ends_becomes_a_window(shop: Source, shop_twin: Twin) -> None:
    found = _texts("select * from orders where placed_at >= $1 and placed_at < $2", shop, shop_twin)
    rows = {label: shop_twin.plan(sql).root.planned_rows or 0 for label, sql in found.items()}
    assert rows["rare"] < 0.05 * 200_000
    assert rows["rare"] < rows["median"] < rows["common"]


def test_lists_get_different_values(shop: Source, shop_twin: Twin) -> None:
    found = _texts("select * from orders where priority in ($1, $2) and state = any($3)", shop, shop_twin)
    assert 'state = any(\'{"done"' in found["common"]
    first, second = found["common"].split("(")[1].split(")")[0].split(", ")
    assert first != second


def test_values_with_quotes_and_backslashes_stay_values(shop: Source, shop_twin: Twin) -> None:
    from dbtune.advisor.values import _quoted

    for value in ("it's", "back\\slash", "both \\' of", "$1", "%"):
        rows = shop_twin.plan(f"select {_quoted(value)}::text").root.output
        assert rows is not None


def test_a_function_without_known_type_keeps_its_parameter(shop: Source, shop_twin: Twin) -> None:
    found = _texts("select * from orders where state = $2 and md5(note) = $1", shop, shop_twin)
    assert found["common"] == "select * from orders where state = 'done' and md5(note) = $1"


def test_parameters_keep_their_places_beside_an_extract(shop: Source, shop_twin: Twin) -> None:
    found = _texts("select extract($1 from due) from orders where state = $2", shop, shop_twin)
    assert found["common"] == "select extract(epoch from due) from orders where state = 'done'"


def test_a_value_that_does_not_fit_is_left_out(shop: Source, shop_twin: Twin) -> None:
    analysis = _analysed("select * from orders where state = $1 and total > $1::numeric", shop, shop_twin)
    costs = shop_twin.costs([one.sql for one in analysis.statement.variants])
    assert all(one.total is not None for one in costs)
    assert sum(one.share for one in analysis.statement.variants) == pytest.approx(1)
