"""One bad statement never spoils the rest; the same input gives the same candidates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbtune.advisor.analysis import analyse
from dbtune.advisor.referential import deleted_tables, with_referential_checks
from dbtune.advisor.source import Source
from dbtune.advisor.workload import Observed, gather
from dbtune.servers.embedded.twin import Twin

GOOD = "select * from orders where customer_id = 5"
BAD = (
    "selekt 1",
    "select * from no_such_table where a = 1",
    "select no_such_column from orders",
    "",
    "   ;",
    "select * from orders where note = 'cut o",
    "select '" + "x" * 5_000_000 + "'",
    "vacuum orders",
    "select 1",
    "select * from orders where customer_id = 5; drop table orders",
    "select * from orders where )",
    "select " + "(" * 20_000 + "1" + ")" * 20_000,
    "\ud800",
)


def test_one_bad_statement_never_spoils_the_rest(shop: Source, shop_twin: Twin) -> None:
    workload = gather([Observed(GOOD, "file"), *(Observed(text, "file") for text in BAD)])
    analyses = analyse(workload, shop_twin, shop)
    assert [one.statement.text for one in analyses.each] == [GOOD]
    assert len(analyses.workload.not_examined) == len(BAD)
    assert all(one.reason for one in analyses.workload.not_examined)


def test_thousands_of_listed_values_are_planned(shop: Source, shop_twin: Twin) -> None:
    values = ", ".join(str(number) for number in range(2000))
    workload = gather([Observed(f"select * from orders where customer_id in ({values})", "file")])
    analysis = analyse(workload, shop_twin, shop).each[0]
    assert any(one.columns == ("customer_id",) for one in analysis.proposals.definitions)


def test_the_same_statements_give_the_same_candidates_in_the_same_order(shop: Source, shop_twin: Twin) -> None:
    texts = [
        "select * from customers c join orders o on o.customer_id = c.id where c.name = 'x' or c.code = 'y'",
        "select device_id, max(happened_at) from events where kind = 'buy' group by 1",
        GOOD,
    ]
    first, second = (
        [
            one.proposals.definitions
            for one in analyse(gather([Observed(text, "file") for text in order]), shop_twin, shop).each
        ]
        for order in (texts, texts[::-1])
    )
    assert first == second


def test_nothing_that_is_there_already_is_proposed(shop: Source, shop_twin: Twin) -> None:
    texts = ["select * from existing where a = 1", "select * from existing where a = 1 and b = 2 order by created_at"]
    for analysis in analyse(gather([Observed(text, "file") for text in texts]), shop_twin, shop).each:
        for one in analysis.proposals.definitions:
            assert one.columns not in (("a",), ("a", "b"), ("created_at",), ("id",))


def test_a_missing_extension_is_told(shop: Source, shop_twin: Twin) -> None:
    bare = replace(shop, extensions=())
    workload = gather([Observed("select * from products where title like '%abcdef%'", "file")])
    analysis = analyse(workload, shop_twin, bare).each[0]
    assert not analysis.proposals.single
    assert "create extension pg_trgm" in analysis.proposals.notes[0]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("delete from orders where id = 1", [(None, "orders")]),
        ('DELETE FROM ONLY app."My ""Table" x', [("app", 'My "Table')]),
        ("with d as (delete from a returning *) delete from b using d", [(None, "a"), (None, "b")]),
        ("select 'delete from a'", []),
    ],
)
def test_deleted_tables_are_told(sql: str, tables: list[tuple[str | None, str]]) -> None:
    assert list(deleted_tables(sql)) == tables


def test_deleting_rows_looks_for_rows_that_refer_to_them(shop: Source, shop_twin: Twin) -> None:
    workload = gather([Observed("delete from customers where id = $1", "pg_stat_statements", 7, rows=2)])
    whole = with_referential_checks(workload, shop)
    (check,) = [one for one in whole.statements if one.source == "foreign key"]
    assert check.weight == 14
    analyses = analyse(whole, shop_twin, shop)
    assert any(
        one.table == "orders" and one.columns == ("customer_id",)
        for analysis in analyses.each
        for one in analysis.proposals.definitions
    )


def test_ranges_of_what_lies_in_the_order_of_a_large_table_may_use_brin(shop: Source, shop_twin: Twin) -> None:
    def methods(sql: str) -> dict[str, str]:
        analysis = analyse(gather([Observed(sql, "file")]), shop_twin, shop).each[0]
        return {one.definition.method: one.confidence for one in analysis.proposals.single}

    assert methods("select * from events where happened_at > '2024-05-01'")["brin"] == "heuristic"
    assert "brin" not in methods("select * from events where device_id > 5")
    assert "brin" not in methods("select * from bookings where id > 5")


def test_what_the_planner_cannot_tell_is_called_heuristic(shop: Source, shop_twin: Twin) -> None:
    from dbtune.advisor.single import best_indexes

    analysis = analyse(gather([Observed("select * from products where tags @> '{t7}'", "file")]), shop_twin, shop)
    assert best_indexes(analysis.each[0], shop_twin).indexes[0].confidence == "heuristic"


def test_a_constant_that_is_one_of_many_makes_no_partial_index(shop: Source, shop_twin: Twin) -> None:
    sql = "select * from products where category_id = 7 and price > 5"
    analysis = analyse(gather([Observed(sql, "file")]), shop_twin, shop).each[0]
    assert not [one for one in analysis.proposals.definitions if one.where]


def test_a_contradiction_is_told_from_a_statement_without_tables(shop: Source, shop_twin: Twin) -> None:
    texts = ("select * from orders where customer_id = 5 and customer_id = 6", "select now()")
    analyses = analyse(gather([Observed(text, "file") for text in texts]), shop_twin, shop)
    reasons = {one.query: one.reason for one in analyses.workload.not_examined}
    assert "contradict" in reasons[texts[0]]
    assert "no table" in reasons[texts[1]]


def test_keys_held_equal_begin_as_an_index_that_is_there(shop: Source, shop_twin: Twin) -> None:
    sql = "select * from existing where b = 3 and c = 4"

    def first(source: Source) -> tuple[str, ...]:
        return analyse(gather([Observed(sql, "file")]), shop_twin, source).each[0].proposals.definitions[0].columns

    assert first(shop) == ("b", "c")
    there = next(one for one in shop.indexes if one.name == "existing_a")
    on_c = replace(there, keys=(replace(there.keys[0], column="c"),))
    assert first(replace(shop, indexes=(on_c, *(one for one in shop.indexes if one is not there)))) == ("c", "b")


def test_a_constant_that_the_counters_have_taken_out_of_an_expression_is_asked_for(
    shop: Source, shop_twin: Twin
) -> None:
    def notes(sql: str) -> tuple[str, ...]:
        return analyse(gather([Observed(sql, "pg_stat_statements")]), shop_twin, shop).each[0].proposals.notes

    (note,) = notes("select id from customers where settings->>$1 = $2")
    assert "settings ->> $1" in note
    assert "--queries" in note
    assert not notes("select id from customers where settings->>$1 = $2 and email = $3")
    assert not notes("select id from customers where settings->>'theme' = $1")
