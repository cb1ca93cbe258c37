"""How long a build takes, against other builds: what a second is differs from machine to machine."""

from __future__ import annotations

from dataclasses import replace

from dbtune.advisor.build_time import build_time_s
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Column, Source, Table
from dbtune.advisor.what_if import Candidate

ROWS, PAGES = 1_000_000, 20_000


def _time_s(shop: Source, key: str | IndexKey, method: str = "btree", **given: float) -> float:
    made = IndexKey(key) if isinstance(key, str) else key
    definition = IndexDefinition("public", "things", (made,), method=method)
    rows, size_bytes = given.get("rows", ROWS), int(given.get("size_bytes", 20_000_000))
    return build_time_s(Candidate(definition, size_bytes, rows=rows), _with_things(shop))


def _with_things(shop: Source) -> Source:
    kinds = {
        "number": "int4",
        "name": "text",
        "plain": "text",
        "place": "point",
        "span": "int4range",
        "area": "polygon",
    }
    columns = tuple(
        Column(
            name, number, base, "pg_catalog", base, base, "b", -1, "i", not_null=True,
            collation="C" if name == "plain" else None,
        )
        for number, (name, base) in enumerate(kinds.items(), start=1)
    )  # fmt: skip
    things = Table(1, "public", "things", "r", columns, pages=PAGES, relpages=PAGES, rows=ROWS)
    return replace(shop, tables=(*shop.tables, things), is_c_collation=False, version=170000)


def test_texts_that_a_collation_orders_take_longer(shop: Source) -> None:
    by_rules = _time_s(shop, "name")
    for quick in (
        "number", "plain", IndexKey("name", collation="C"), IndexKey("name", opclass="text_pattern_ops"),
    ):  # fmt: skip
        assert by_rules > 2 * _time_s(shop, quick), quick
    assert _time_s(shop, IndexKey("plain", collation="en-x-icu")) == by_rules
    assert _time_s(shop, IndexKey(expression="lower(name)")) == by_rules
    assert _time_s(shop, IndexKey(expression="number + 1")) == _time_s(shop, "number")


def test_what_goes_down_the_tree_row_by_row_takes_longer_than_what_is_sorted(shop: Source) -> None:
    area, span, place, number = (
        _time_s(shop, key, method) for key, method in
        (("area", "gist"), ("span", "gist"), ("place", "gist"), ("number", "btree"))
    )  # fmt: skip
    assert area == span > 3 * place > number
    newer = replace(_with_things(shop), version=180000)
    definition = IndexDefinition("public", "things", (IndexKey("span"),), method="gist")
    assert build_time_s(Candidate(definition, 0, rows=ROWS), newer) == place
    assert area > _time_s(shop, "place", "spgist") > place


def test_every_build_reads_the_table_and_makes_only_what_it_holds(shop: Source) -> None:
    reading = _time_s(shop, "number", "brin")
    assert reading > 0
    whole, part = (_time_s(shop, "number", rows=rows) - reading for rows in (ROWS, ROWS / 10))
    assert 0 < part < whole / 9
    large, small = (_time_s(shop, "number", "gin", size_bytes=size) - reading for size in (40_000_000, 10_000_000))
    assert large > 3 * small > 0
    assert _time_s(shop, "number", "hash") > _time_s(shop, "number")


def test_what_is_not_known_takes_no_time(shop: Source) -> None:
    definition = IndexDefinition("public", "missing", (IndexKey("a"),))
    assert build_time_s(Candidate(definition, 8192, rows=ROWS), shop) == 0
