from __future__ import annotations

import pytest

from dbtune.advisor.index import IndexDefinition, IndexKey, name_apart


def index(*keys: IndexKey, **rest: object) -> IndexDefinition:
    return IndexDefinition("public", "orders", keys, **rest)  # type: ignore[arg-type]


def test_a_plain_index_is_named_after_its_columns() -> None:
    assert index(IndexKey("a"), IndexKey("b")).name == "orders_a_b_idx"


def test_everything_that_an_index_can_say_is_in_its_statement() -> None:
    key = IndexKey(expression="lower(email)", descending=True, opclass="pub.text_ops", collation="C.UTF-8")
    found = index(
        IndexKey('a"b'), key, include=("n",), where="gone is null", unique=True, options=(("fillfactor", "70"),)
    )
    assert found.ddl(name="x", concurrently=True) == (
        'create unique index concurrently "x" on "public"."orders" using btree ("a""b", (lower(email))'
        ' collate "C.UTF-8" "pub"."text_ops" desc) include ("n") with (fillfactor = 70) where (gone is null)'
    )


def test_what_postgres_does_anyhow_makes_no_difference() -> None:
    assert IndexKey("a", descending=True, nulls_first=True) == IndexKey("a", descending=True)
    assert IndexKey("a", nulls_first=True) != IndexKey("a")


def test_a_key_is_a_column_or_an_expression() -> None:
    with pytest.raises(ValueError, match="either"):
        IndexKey("a", expression="b")


def test_different_indexes_have_different_names_and_a_stable_order() -> None:
    plain, partial = index(IndexKey("a")), index(IndexKey("a"), where="b = 1")
    twins = [index(IndexKey("a_b")), index(IndexKey("a"), IndexKey("b"))]
    assert plain.name != partial.name
    names = name_apart(twins, taken=["orders_a_b_idx"])
    assert sorted(names.values()) == ["orders_a_b_2_idx", "orders_a_b_3_idx"]
    assert sorted([partial, plain]) == sorted([plain, partial])


def test_long_names_fit_into_63_bytes() -> None:
    assert len(IndexDefinition("s", "t" * 63, (IndexKey("c" * 63),)).name.encode()) <= 63
