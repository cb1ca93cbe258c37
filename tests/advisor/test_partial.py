"""Which constants an index may be made for alone."""

from __future__ import annotations

import pytest

from dbtune.advisor.access import Condition, Expression
from dbtune.advisor.partial import is_worth_fixing
from dbtune.advisor.source import Column, ColumnStatistics, Table

STATES = ("id", "area_id", "AreaID", "state", "paid")


def _column(number: int, name: str) -> Column:
    values, shares = "{0,1,2,3,4}", (0.6, 0.2, 0.1, 0.06, 0.04)
    stats = ColumnStatistics(
        name, inherited=False, null_frac=0.0, avg_width=4, n_distinct=5, most_common_vals=values,
        most_common_freqs=shares,
    )  # fmt: skip
    return Column(
        name, number, "integer", "pg_catalog", "int4", "int4", "b", 4, "i", not_null=True, statistics=(stats,)
    )


TABLE = Table(
    1, "public", "parcels", "r", tuple(_column(n, name) for n, name in enumerate(STATES, start=1)), pages=900,
    relpages=900, rows=90_000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "is_worth"), [("id", False), ("area_id", False), ("AreaID", False), ("state", True), ("paid", True)]
)
def test_a_number_that_names_a_row_is_one_of_many(column: str, *, is_worth: bool) -> None:
    rare = Condition(Expression(column), "=", "4", f"{column} = 4", is_fixed=True)
    assert is_worth_fixing(rare, TABLE) == is_worth
