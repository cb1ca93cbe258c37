from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbtune.advisor.scripts import one_statement, read_script
from dbtune.advisor.workload import MOST_VARIANTS, Observed, gather
from dbtune.core.errors import Misused


def test_texts_with_other_constants_are_one_statement_with_variants() -> None:
    workload = gather(
        [
            Observed("select * from t where a = 1", "log", 3, time_s=0.5),
            Observed("SELECT *  from t where a = 2 -- hello", "log", 1, time_s=0.25),
            Observed("select * from t where a in (1, 2)", "log"),
            Observed("select * from t where a in (1, 2, 3)", "log"),
        ]
    )
    first, second = workload.statements
    assert (first.weight, first.time_s) == (4, 0.75)
    assert [variant.share for variant in first.variants] == [0.75, 0.25]
    assert second.weight == 2


def test_more_texts_than_are_planned_keep_their_weight() -> None:
    workload = gather([Observed(f"select {n}", "log", n) for n in range(1, 50)])
    (statement,) = workload.statements
    assert statement.weight == sum(range(1, 50))
    assert len(statement.variants) == MOST_VARIANTS
    assert sum(variant.share for variant in statement.variants) == pytest.approx(1)


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    workload = gather(
        [
            Observed("select 1", "pg_stat_statements", 90, "1"),
            Observed("vacuum t", "pg_stat_statements", 5, "2"),
            Observed(None, "pg_stat_statements", 3, "3"),
            Observed("<insufficient privilege>", "pg_stat_statements", 2, "4"),
        ]
    )
    assert workload.examined_share == pytest.approx(0.9)
    assert [one.queryid for one in workload.not_examined] == ["2", "3", "4"]
    assert all(one.reason for one in workload.not_examined)


def test_the_order_of_the_sources_does_not_matter() -> None:
    observed = [Observed(f"select {'a' * (n % 7)} from t{n % 5} where x = {n % 3}", "file", n % 4) for n in range(60)]
    assert gather(observed) == gather(observed[::-1]) == gather(observed[31:] + observed[:31])


def test_weights_and_names_stand_in_comments_before_a_statement() -> None:
    script = """\\timing on
-- weight: 1_200
select 1;
-- name: the feed
-- weight: 2.5
select ';' -- weight: 9
;
/* nothing */
select 3"""
    found = list(read_script(script, "q.sql"))
    assert [one.weight for one in found] == [1200, 2.5, 1]
    assert [one.place for one in found] == ["q.sql:3", "q.sql:6 (the feed)", "q.sql:9"]


@pytest.mark.parametrize("weight", ["many", "-1", "nan", "inf", ""])
def test_a_weight_that_is_none_is_refused_with_its_place(weight: str) -> None:
    with pytest.raises(Misused, match=r"q\.sql:3"):
        list(read_script(f"\n-- weight: {weight}\nselect 1;", "q.sql"))


def test_several_statements_on_the_command_line_are_several() -> None:
    assert len(list(one_statement("select 1; select 2;"))) == 2


@given(st.lists(st.text(max_size=80), max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_the_reading(texts: list[str]) -> None:
    workload = gather(Observed(text, "file") for text in texts)
    assert sum(one.weight for one in workload.statements) + len(workload.not_examined) == len(texts)
    list(read_script(";".join(text for text in texts if "weight" not in text and "calls" not in text), "q"))
