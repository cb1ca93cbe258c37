from __future__ import annotations

import pytest

from dbtune.advisor.texts import limit_parameters, split_script, statement_of, with_values


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("/* app:web */ select 1;", "select 1"),
        ("  (select 1) union (select 2) ;; -- the end", "(select 1) union (select 2)"),
        ("PREPARE p (int, text) AS select * from t where a = $1", "select * from t where a = $1"),
        ("declare c no scroll cursor with hold for select 2", "select 2"),
        ("copy (select ')' from t) to stdout with (format csv)", "select ')' from t"),
        ("create temp table x as select 3", "select 3"),
        (
            "MERGE INTO t using s on true when matched then delete",
            "MERGE INTO t using s on true when matched then delete",
        ),
    ],
)
def test_the_statement_inside_is_found(text: str, inside: str) -> None:
    assert statement_of(text).sql == inside


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "lost"),
        ("selec 1", "SELEC begins no statement"),
        ("vacuum full t", "VACUUM is a command, which has no plan"),
        ("", "empty"),
        (" -- nothing\n;", "empty"),
        ("<insufficient privilege>", "pg_read_all_stats"),
        ("select * from t where a = 'x", "cut off"),
        ("select * from t where a in (1, 2, ", "cut off"),
        ("select /* oh", "cut off"),
        ("select $body$ abc", "cut off"),
        ('select "a', "cut off"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "transaction"),
        ("vacuum t", "VACUUM"),
        ("explain select 1", "EXPLAIN"),
        ("create index on t (a)", "CREATE"),
        ("select '" + "x" * 5_000_000 + "'", "longer"),
        ("select \0", "null character"),
    ],
)
def test_what_cannot_be_planned_says_why(text: str | None, reason: str) -> None:
    found = statement_of(text)
    assert found.sql is None
    assert reason in found.reason


def test_semicolons_in_quotes_comments_and_brackets_do_not_end_a_statement() -> None:
    script = "select ';'; -- a;b\nselect $$;$$, $t$;$t$ /* ; /* ; */ */;"
    script += "create rule r as on insert to t do (select 1; select 2)"
    assert len(list(split_script(script))) == 3


def test_values_take_the_place_of_parameters_and_the_others_close_up() -> None:
    sql = "select $1, '$2', $10, $2, $$ $1 $$ /* $1 */ from t where a=$1 and b=-$10"
    assert with_values(sql, {1: "'x'", 10: "-5"}) == (
        "select 'x', '$2', -5, $1, $$ $1 $$ /* $1 */ from t where a='x' and b=- -5"
    )


def test_limits_and_offsets_are_told_from_other_parameters() -> None:
    sql = "select $1 from t where a > $2 order by b limit $3 offset $4"
    assert limit_parameters(sql) == (frozenset({3}), frozenset({4}))
    assert limit_parameters("select 1 fetch first ($1) rows only")[0] == {1}


def test_a_megabyte_is_read_in_one_pass() -> None:
    """Backtracking would take minutes; the limit on the run ends the test then."""
    text = "select * from t where a in (" + ",".join(f"'{n}'" for n in range(100_000)) + ")"
    assert statement_of(text).sql == text
    assert statement_of("select " + "(" * 400_000).sql is None
