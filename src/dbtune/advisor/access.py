"""How a statement reaches a table: by which conditions, in which order, for which columns."""

from __future__ import annotations

from dataclasses import dataclass

Table = tuple[str, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What an index could hold: a column by its real name, or an expression as PostgreSQL prints it."""

    text: str
    is_column: bool = True

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Condition:
    """`key operator value`. `joins` are the tables' aliases that the value is from; `text` is the whole, unqualified.

    `is_fixed`: the value stands in the statement, so that an index may be made for it alone. `parameter` is n of `$n`.
    """

    key: Expression
    operator: str
    value: str
    text: str
    joins: frozenset[str] = frozenset()
    is_fixed: bool = False
    parameter: int | None = None


@dataclass(frozen=True, slots=True)
class OrderKey:
    """`nulls_first` as PostgreSQL printed it; None is its default."""

    key: Expression
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """One occurrence of a table. `alternatives` are the arms of each OR whose arms all name this table alone.

    `orders` are sort orders that an index could provide, `groups` columns in whatever order (GROUP BY, DISTINCT),
    `extremes` the arguments of min and max. `needed` are the columns that the statement uses at all, `shown` those that
    it uses for more than conditions. `nearest`: ordered by an operator (`<->`), which only some methods provide.
    """

    table: Table
    alias: str
    conditions: tuple[Condition, ...] = ()
    alternatives: tuple[tuple[tuple[Condition, ...], ...], ...] = ()
    orders: tuple[tuple[OrderKey, ...], ...] = ()
    groups: tuple[tuple[Expression, ...], ...] = ()
    extremes: tuple[Expression, ...] = ()
    nearest: tuple[Condition, ...] = ()
    needed: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    is_written: bool = False
