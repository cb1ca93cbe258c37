"""Sizes against those that PostgreSQL 18 builds, measured once with rows inserted in random order."""

from __future__ import annotations

import pytest

from dbtune.advisor.index_size import Attribute, brin, btree, gist, hash_index, height_of

INT = Attribute(4, 4, 4.0, distinct=1_000_000)


def test_a_unique_integer_index_has_the_size_that_every_pgbench_shows() -> None:
    size = btree(1_000_000, [INT], unique=True)
    assert (size.pages, size.height) == (2745, 2)


def test_equal_values_share_their_key() -> None:
    few = Attribute(4, 4, 4.0, distinct=10, common=(0.1,) * 10)
    assert btree(1_000_000, [few]).pages == pytest.approx(851, rel=0.1)
    assert btree(1_000_000, [few], deduplicate=False).pages == pytest.approx(2745, rel=0.02)


@pytest.mark.parametrize("option", ["include", "unique", "numeric"])
def test_what_cannot_share_a_key_does_not(option: str) -> None:
    few = Attribute(4, 4, 4.0, distinct=10, can_merge=option != "numeric")
    other = [Attribute(4, 4, 4.0)] if option == "include" else []
    assert btree(100_000, [few], other, unique=option == "unique").pages > 250


def test_nulls_share_their_key_as_well() -> None:
    half = Attribute(4, 4, 4.0, null_frac=0.9, distinct=10_000)
    assert btree(100_000, [half]).pages < 0.5 * btree(100_000, [INT]).pages


def test_what_is_not_null_is_as_wide_as_without_nulls() -> None:
    digest = Attribute(-1, 4, 33.0, null_frac=2 / 3, distinct=333_333, widths=(33,) * 100)
    assert btree(1_000_000, [digest]).pages == pytest.approx(2970, rel=0.05)


def test_an_index_without_rows_is_a_page() -> None:
    assert btree(0, [INT]).pages == 1


def test_the_height_of_an_index_follows_from_its_pages() -> None:
    assert [height_of(pages, [INT], pages * 366.0) for pages in (1, 2, 30, 276, 2745)] == [0, 0, 1, 1, 2]


def test_wider_keys_make_larger_and_higher_indexes() -> None:
    wide = Attribute(-1, 4, 200.0, distinct=1_000_000)
    assert btree(1_000_000, [wide]).pages > 10 * btree(1_000_000, [INT]).pages
    assert btree(1_000_000, [wide]).height == 4


def test_other_methods_grow_with_what_they_hold() -> None:
    assert hash_index(1_500_000, Attribute(4, 4, 4.0, distinct=100_000)).pages == pytest.approx(6020, rel=0.2)
    assert gist(100_000, [INT], 0.5).pages > gist(100_000, [INT], 0.9).pages > gist(1000, [INT], 0.9).pages
    assert brin(100_000, [INT]).pages < 20


def test_a_table_that_has_shrunk_since_it_was_analyzed_has_a_small_index() -> None:
    common = tuple(1 / 30 for _ in range(30))
    assert btree(10, [Attribute(4, 4, 4.0, distinct=30, common=common)]).pages == 2
