from __future__ import annotations

import pytest

from dbtune.baseline.texts import fingerprint, normalize


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select * from t where id in ($1, $2)", "SELECT *  FROM t\nWHERE id IN ($1, $2, $3, $4)"),
        ("select * from t where id in ($1, $2)", "select * from t where id in ($1 /*, ... */)"),
        ("select 1 /* a */ -- b", "select $1"),
        ("select 'it''s', E'a\\'b', $tag$x$tag$", "select $1, $2, $3"),
        ("select * from t where id = any(array[1,2])", "select * from t where id = any(ARRAY[$1])"),
    ],
)
def test_spellings_of_one_statement_have_one_fingerprint(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('select "A"', 'select "a"'),
        ("select a from t", "select a from t2"),
        ("select * from t where id in (select 1)", "select * from t where id in (1)"),
        ("select $$a$$ from t", "select $$a$$ from t2"),
        ("select table'a'", "select tabl e'a'"),
    ],
)
def test_different_statements_differ(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize("text", ["select 'never ends", "select /* never ends", 'select "', "$a$", "", "\x00'\\"])
def test_a_text_cut_off_by_the_server_is_still_a_text(text: str) -> None:
    assert isinstance(normalize(text), str)
