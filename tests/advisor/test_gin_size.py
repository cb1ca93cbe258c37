"""Sizes against those that PostgreSQL 18 builds, measured once on 100,000 rows of 500 pages."""

from __future__ import annotations

from dbtune.advisor.gin_size import gin
from dbtune.advisor.spread import Group

ROWS, PAGES = 100_000, 500


def pages(number: float, share: float, width: float = 4.0) -> int:
    return gin(ROWS, PAGES, [Group(number, share)], width).pages


def test_an_element_that_each_row_has_takes_a_byte_of_each() -> None:
    # 100,000 of them in posting trees whose pages are full.
    assert 13 <= pages(1, 1.0) - 2 <= 16


def test_what_stands_once_takes_a_tuple_of_its_own_on_pages_that_are_half_full() -> None:
    # 16 bytes of element and header, 8 of the row, 4 of the line pointer.
    alone = pages(1e9, 1e-9)
    assert 100_000 * 28 / 8160 * 2 * 0.98 < alone < 100_000 * 28 / 8160 * 2 * 1.03


def test_rare_elements_take_more_bytes_a_row_than_frequent_ones() -> None:
    # As many entries of rows in all: 10 in each element's list, 1000, or 100,000.
    assert pages(10_000, 1e-4) > 1.5 * pages(100, 1e-2) > 1.2 * 1.5 * pages(1, 1.0)


def test_an_index_without_elements_is_its_two_first_pages() -> None:
    assert gin(0, 0, [], 4.0).pages == 2
