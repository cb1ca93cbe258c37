"""A table's rows as one INSERT, which depend on nothing but their numbers."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.demo import shape
from dbtune.demo.shape import Sizes, sql_id_of_rank, sql_rank, sql_share

END = f"timestamptz '{shape.DATA_END}'"
_USER_SHIFT = 20.0


@dataclass(frozen=True, slots=True)
class Filling:
    """`sql` inserts about `rows` rows into `table`."""

    table: str
    rows: int
    sql: str


def user_of(number: str, seed: int, sizes: Sizes) -> str:
    """SQL for a user's id; few users own most rows."""
    return sql_id_of_rank(sql_rank(number, seed, sizes.users, _USER_SHIFT), sizes.users)


def ago(days: float, number: str, seed: int) -> str:
    """SQL for a time within the last `days`."""
    return f"{END} - {sql_share(number, seed)} * interval '{days} days'"


def in_order(days: float, rows: int) -> str:
    """SQL for a time that grows with the row's number `i`, as in a table that is only appended to."""
    return f"{END} - ({rows} - i) * interval '{days * 86400 / rows:.6f} seconds'"
