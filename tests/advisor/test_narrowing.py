from __future__ import annotations

import pytest

from dbtune.advisor.narrowing import narrowed
from dbtune.advisor.source import Function, Source, Table
from dbtune.core.findings import Unexamined

SOURCE = Source(
    version=180000,
    database="app",
    taken_at="",
    is_c_collation=False,
    search_path="public",
    tables=(
        Table(1, "public", "users", "r", ()),
        Table(2, "public", "Odd name", "r", ()),
        Table(3, "public", "seen", "v", (), query='SELECT * FROM public."Odd name"'),
        Table(4, "public", "events", "p", ()),
        Table(5, "public", "events_1", "r", (), parents=(("public", "events"),)),
        Table(6, "public", "behind", "r", ()),
    ),
    functions=(Function("public", "reads", "create function … select from behind"), Function("public", "idle", "")),
    not_examined=(Unexamined('statistics of "public"."behind"', "never"), Unexamined("statements", "none")),
)


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT * FROM Users", {"users"}),
        ('select 1 from "Odd name"', {"Odd name"}),
        ("select * from seen", {"seen", "Odd name"}),
        ("delete from events_1", {"events", "events_1"}),
        ("select * from events", {"events", "events_1"}),
        ("select reads(1)", {"behind"}),
        ("select 1", set()),
    ],
)
def test_only_what_a_statement_touches_is_kept(statement: str, tables: set[str]) -> None:
    found = narrowed(SOURCE, [statement])
    assert {table.name for table in found.tables} == tables


def test_functions_and_gaps_are_kept_where_they_matter() -> None:
    found = narrowed(SOURCE, ["select * from users where reads(id) = 1"])
    assert [one.name for one in found.functions] == ["reads"]
    assert [one.check for one in found.not_examined] == ['statistics of "public"."behind"', "statements"]
    assert [one.check for one in narrowed(SOURCE, ["table users"]).not_examined] == ["statements"]
