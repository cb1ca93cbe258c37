from __future__ import annotations

import pytest

from dbtune.core.query_text import bare_query


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("select 1", "select 1"),
        ("select 1;", "select 1"),
        ("select 1 ;\n ; -- the best\n", "select 1"),
        ("select 1 /* a; b */;", "select 1"),
        ("select ';' ; ", "select ';'"),
        ("select '--' -- none", "select '--'"),
        ("-- the best\nselect 1;", "-- the best\nselect 1"),
        ("select $$ ; $$;", "select $$ ; $$"),
        ("(select 1) union all (select 2);", "(select 1) union all (select 2)"),
        ("with x as (select 1) table x;", "with x as (select 1) table x"),
        ("values (1), (2)", "values (1), (2)"),
        ("table contents", "table contents"),
        ("\n  select 1\n;\n", "\n  select 1"),
        ("select 1 # 2;", "select 1 # 2"),
    ],
)
def test_what_ends_a_statement_is_taken_off_and_nothing_else(written: str, bare: str) -> None:
    assert bare_query(written) == bare


@pytest.mark.parametrize("written", ["", " ; -- nothing\n"])
def test_an_empty_query_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        bare_query(written)


@pytest.mark.parametrize("written", ["delete from t", "/* read */ update t set a = 1", "explain select 1", "do $$ $$"])
def test_a_query_that_does_not_read_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="has to read"):
        bare_query(written)
