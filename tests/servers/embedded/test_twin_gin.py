from __future__ import annotations

import json

import pytest

from dbtune.advisor.arrays import array_literal
from dbtune.advisor.index import IndexKey
from dbtune.advisor.index_size import Attribute
from dbtune.advisor.source import ColumnStatistics
from dbtune.servers.embedded.twin_gin import elements

KEY = IndexKey("c")
TEXT = Attribute(-1, 4, 40.0, distinct=1000)


def stats(**known: object) -> ColumnStatistics:
    return ColumnStatistics("c", inherited=False, null_frac=0, avg_width=40, n_distinct=-1, **known)  # type: ignore[arg-type]


def test_the_elements_of_arrays_are_those_that_analyze_counted() -> None:
    known = stats(
        most_common_elems="{1,2}",
        most_common_elem_freqs=(0.5, 0.1, 0.1, 0.5, 0.0),
        elem_count_histogram=(1.0, 3.0, 2.0),
    )
    found = elements(TEXT, known, "_int4", KEY, 1000)
    assert found.each == pytest.approx(2)
    assert found.width == 4
    # 1.4 of the 2 elements of a row are rarer than one in ten, as much rarer as those two tell.
    assert found.distinct(1000) == pytest.approx(1310, abs=30)


def test_documents_that_share_their_values_have_few_elements() -> None:
    documents = [json.dumps({"codec": f"c{number % 3}", "locale": "de"}) for number in range(100)]
    found = elements(TEXT, stats(histogram_bounds=array_literal(tuple(documents))), "jsonb", KEY, 10_000)
    assert found.each == pytest.approx(4)
    assert found.distinct(10_000) == pytest.approx(6, abs=0.5)


def test_whole_numbers_are_no_more_than_lie_between_the_ends_of_a_sample() -> None:
    documents = [json.dumps({"id": number * 7}) for number in range(100)]
    known = stats(histogram_bounds=array_literal(tuple(documents)))
    found = elements(TEXT, known, "jsonb", IndexKey("c", opclass="jsonb_path_ops"), 100_000)
    assert found.distinct(100_000) == pytest.approx(700, rel=0.05)


def test_documents_that_share_none_have_as_many_as_there_are_rows() -> None:
    documents = [json.dumps({"id": number * 1000}) for number in range(100)]
    known = stats(histogram_bounds=array_literal(tuple(documents)))
    found = elements(TEXT, known, "jsonb", IndexKey("c", opclass="jsonb_path_ops"), 10_000)
    assert found.each == pytest.approx(1)
    assert found.width == 4
    assert found.distinct(10_000) == pytest.approx(10_000, rel=0.05)


@pytest.mark.parametrize("bad", ["{", "[" * 5000, "not json"])
def test_what_is_no_document_is_guessed(bad: str) -> None:
    assert elements(TEXT, stats(histogram_bounds=array_literal((bad,))), "jsonb", KEY, 1000).each >= 1


def test_trigrams_follow_from_the_length() -> None:
    assert elements(TEXT, None, "text", IndexKey("c", opclass="gin_trgm_ops"), 1000).each == pytest.approx(41)
