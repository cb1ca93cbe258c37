"""Which columns a covering index may lose."""

from __future__ import annotations

from dataclasses import replace

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.app.advise_narrower import narrower

PLACED = IndexDefinition("public", "orders", (IndexKey("placed"),), include=("Client", "id", "note"))


def test_it_loses_what_only_the_harmed_statement_names() -> None:
    found = narrower(PLACED, 'select ID, "Client", note from orders', ['select "Client" from orders where placed > 5'])
    assert found == replace(PLACED, include=("Client",))


def test_a_column_that_another_statement_names_stays_and_so_does_one_that_stands_in_no_text() -> None:
    others = ["select o.NOTE from orders o"]
    assert narrower(PLACED, "select note, 'id', client from orders -- id", others) is None


def test_keys_are_never_lost() -> None:
    assert narrower(replace(PLACED, include=()), "select placed from orders", []) is None
