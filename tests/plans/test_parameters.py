"""Texts of pg_stat_statements that the server accepts only with a type for `$1`."""

from __future__ import annotations

import pytest

from dbtune.plans.parameters import acceptable, typed, with_type_of, with_types
from dbtune.servers.postgres.explaining import Execution, plan_statement
from dbtune.servers.postgres.session import connect


def test_a_type_before_a_parameter_becomes_a_cast() -> None:
    assert typed("select now() - interval $1, date $2") == "select now() - cast($1 as interval), cast($2 as date)"
    assert typed("select interval '1 day'") == "select interval '1 day'"
    assert typed("where a << inet $1 order by t.point $2") == "where a << cast($1 as inet) order by t.point $2"


def test_the_field_of_extract_goes_and_the_numbers_close_up() -> None:
    assert acceptable("select extract($1 from at) from t where a = $12 and b = $3") == (
        "select extract(epoch from at) from t where a = $2 and b = $1"
    )


def test_types_are_given_to_a_call_or_beside_an_operator() -> None:
    assert with_types("select f(g($1), $2) + $3", 7) == "select f(g($1::int), $2::int) + $3"
    assert with_types("select $1 + $12", 10) == "select $1::int + $12"
    assert with_types("select 1", 999) == "select 1"
    assert with_type_of("select $11, $1, $1::int", 1) == "select $11, $1::text, $1::int"


@pytest.mark.parametrize(
    "statement",
    [
        "select * from generate_series($1, $2) i where i = $3",
        "select $1 + $2",
        "select -$1, round($2), $3 || $4",
        "select case when $1 then $2 else $3 end",
        "select * from (select $1 as x) y where x is null",
        "select count(*) from s1 where a between $1 and $2 or b in ($3 /*, ... */)",
        "select date_trunc($1, now()) + interval $2, extract($3 from now())",
        "select s1.a from s1 order by s1.id limit $1 offset $2",
        "update s1 set a = $1 + a where id = any($2)",
        "insert into s1 values ($1, $2, $3), ($4, $5, $6)",
        "select jsonb_build_object($1, a, $2, $3) from s1",
        "select json_agg(x) from (values ($1, $2), ($3, $4)) x",
        "with recursive n as (select $1 as i union all select i + $2 from n where i < $3) select * from n",
    ],
)
def test_every_normalized_statement_has_a_plan(workload: str, statement: str) -> None:
    with connect(workload) as session:
        planned, _ = plan_statement(session, statement, (), Execution())
    assert planned["Plan"]["Node Type"]
