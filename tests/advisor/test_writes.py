"""What an index costs those who write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbtune.advisor.analysis import analyse
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Source
from dbtune.advisor.workload import Observed, gather
from dbtune.advisor.writes import table_writes, write_costs
from dbtune.servers.embedded.twin import Twin

BUSY = "update orders set priority = priority + 1 where id = 7"


def _index(table: str, *columns: str, where: str | None = None, include: tuple[str, ...] = ()) -> IndexDefinition:
    return IndexDefinition("public", table, tuple(map(IndexKey, columns)), where=where, include=include)


def _costs(statements: dict[str, float], twin: Twin, source: Source, *definitions: IndexDefinition) -> list[float]:
    workload = gather(Observed(sql, "file", weight) for sql, weight in statements.items())
    writes = table_writes(analyse(workload, twin, source).each, source)
    return write_costs(twin.add(definitions), writes, source)


def test_an_update_that_no_index_holds_stays_hot_and_enters_nothing(shop: Source, shop_twin: Twin) -> None:
    assert _costs({BUSY: 100.0}, shop_twin, shop, _index("orders", "customer_id")) == [0.0]


def test_an_index_that_holds_a_busy_column_pays_for_the_others_too(shop: Source, shop_twin: Twin) -> None:
    plain = _index("orders", "customer_id", "priority")
    carried = _index("orders", "customer_id", include=("priority",))
    partial = _index("orders", "customer_id", where="priority > 990")
    insert = {"insert into orders (id, customer_id) values (1, 2)": 100.0}
    entered = _costs(insert, shop_twin, shop, plain)[0]
    first, second, third = _costs({BUSY: 100.0}, shop_twin, shop, plain, carried, partial)
    # The primary key gets an entry as well.
    assert first == pytest.approx(2 * entered)
    assert second == pytest.approx(first)
    assert 0 < third < first


def test_a_partial_index_takes_the_updates_of_its_own_rows(shop: Source, shop_twin: Twin) -> None:
    whole = _index("existing", "b", "c")
    part = _index("existing", "c", where="b = 3")
    # The column is in an index that is there, so that no update is HOT.
    costs = _costs({"update existing set b = b + 1 where id = 7": 100.0}, shop_twin, shop, whole, part)
    assert 0 < costs[1] < costs[0] / 20


def test_each_trigram_is_entered(shop: Source, shop_twin: Twin) -> None:
    words = IndexDefinition("public", "products", (IndexKey("url", opclass="gin_trgm_ops"),), method="gin")
    insert = {"insert into products (id, url) values (1, 'x')": 100.0}
    whole, each = _costs(insert, shop_twin, shop, words, _index("products", "url"))
    assert whole > 2 * each


def test_what_lies_in_the_order_of_writing_pays_next_to_nothing_in_brin(shop: Source, shop_twin: Twin) -> None:
    key = IndexKey("happened_at")
    brin = IndexDefinition("public", "events", (key,), method="brin")
    insert = {"insert into events (id, happened_at) values (1, now())": 100.0}
    coarse, fine = _costs(insert, shop_twin, shop, brin, IndexDefinition("public", "events", (key,)))
    assert 0 < coarse < fine / 3


def test_before_16_brin_too_stands_in_the_way_of_updates(shop: Source, shop_twin: Twin) -> None:
    brin = IndexDefinition("public", "orders", (IndexKey("priority"),), method="brin")
    (now,) = _costs({BUSY: 100.0}, shop_twin, shop, brin)
    (before,) = _costs({BUSY: 100.0}, shop_twin, replace(shop, version=150000), brin)
    assert now == 0.0
    assert before > 0.0
