"""What the size of a candidate rests on, where ANALYZE's own count is known to be too low."""

from __future__ import annotations

import pytest

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Column, ColumnStatistics, Index, KeyRow, Source, Table
from dbtune.servers.embedded.twin_measures import BuiltColumn, measure

ROWS = 6_000_000.0
BY_ORDER = IndexDefinition("public", "lines", (IndexKey("order_id"),))
BUILT = [BuiltColumn("order_id", 4, "i", is_key=True, merges=True)]


def column(name: str, number: int, distinct: float, frequencies: tuple[float, ...] | None = None) -> Column:
    known = ColumnStatistics(name, inherited=False, null_frac=0.0, avg_width=4, n_distinct=distinct, correlation=1.0,
                             most_common_freqs=frequencies)  # fmt: skip
    return Column(name, number, "integer", "pg_catalog", "int4", "int4", "b", 4, "i", not_null=True,
                  statistics=(known,))  # fmt: skip


def pages(orders: float, frequencies: tuple[float, ...] | None) -> int:
    """Of an index on an order's lines, whose number within the order is the second column of the primary key."""
    table = Table(
        1, "public", "lines", "r", (column("order_id", 1, orders), column("number", 2, 7, frequencies)),
        pages=100_000, relpages=100_000, rows=ROWS,
    )  # fmt: skip
    keys = tuple(KeyRow(name, None, 0, "int4_ops", True, None, False) for name in ("order_id", "number"))  # noqa: FBT003
    primary = Index(
        oid=2, schema="public", name="lines_pkey", table_schema="public", table="lines", method="btree", definition="",
        keys=keys, include=(), predicate=None, is_unique=True, nulls_not_distinct=False, is_valid=True,
        is_replica_identity=False, is_clustered=False, constraint="p", constraint_name=None,
        constraint_definition=None, is_referenced=False, parent=None, pages=20_000, relpages=20_000, rows=ROWS,
        kind="i",
    )  # fmt: skip
    source = Source(180000, "app", "2025-01-01T00:00:00+00:00", is_c_collation=False, search_path="public",
                    tables=(table,), indexes=(primary,))  # fmt: skip
    return measure(source, table, BY_ORDER, BUILT, ROWS).pages


def test_a_unique_key_knows_how_many_values_a_clustered_column_has_at_least() -> None:
    true = pages(1_500_000, None)
    assert pages(350_000, (0.25, 0.21, 0.18, 0.14, 0.11, 0.07, 0.04)) == pytest.approx(true, rel=0.02)
    assert pages(350_000, None) < 0.85 * true, "of the number of values alone no more can be said"
