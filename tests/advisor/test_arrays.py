from __future__ import annotations

import pytest

from dbtune.advisor.arrays import array_items, array_literal


@pytest.mark.parametrize(
    ("literal", "items"),
    [
        (None, ()),
        ("{}", ()),
        ("{a}", ("a",)),
        ('{a,"b,c",NULL,"NULL",""}', ("a", "b,c", None, "NULL", "")),
        (r'{"a\"b","c\\d"}', ('a"b', "c\\d")),
    ],
)
def test_an_array_literal_is_taken_apart(literal: str | None, items: tuple[str | None, ...]) -> None:
    assert array_items(literal) == items


def test_what_is_put_together_is_taken_apart_again() -> None:
    items = ("a,b", None, "NULL", 'q"', "\\", "{x}", "")
    assert array_items(array_literal(items)) == items
