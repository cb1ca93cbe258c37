"""Reads from a plan how it reaches each table.

From a plan that PostgreSQL made without any index, so that nothing is hidden behind one: views are expanded, CTEs
inlined, subqueries pulled up, equalities carried over joins, functions inlined, as the planner really does it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbtune.advisor.access import Access, Condition, Expression, OrderKey, Table
from dbtune.advisor.printed import (
    Comparison,
    arms,
    bare,
    column_of,
    columns,
    comparison,
    listed,
    parameter_of,
    qualified,
    terms,
    unqualified,
)
from dbtune.plans.tree import nodes

_CONDITIONS = (
    "Filter", "Index Cond", "Join Filter", "Hash Cond", "Merge Cond", "One-Time Filter", "Conflict Filter",
)  # fmt: skip
# Below these the output of a scan may be whole rows that nobody asked for: what is used, the node above says.
_TAKES_ANYTHING = ("Aggregate", "WindowAgg", "Nested Loop", "Hash Join", "Merge Join", "Group", "ProjectSet", "Result")
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<@": "@>", "@>": "<@", "&&": "&&", "<>": "<>"}


@dataclass(slots=True)
class _Gathered:
    table: Table
    alias: str
    conditions: dict[Condition, None] = field(default_factory=dict)
    alternatives: dict[tuple[tuple[Condition, ...], ...], None] = field(default_factory=dict)
    orders: dict[tuple[OrderKey, ...], None] = field(default_factory=dict)
    groups: dict[tuple[Expression, ...], None] = field(default_factory=dict)
    extremes: dict[Expression, None] = field(default_factory=dict)
    nearest: dict[Condition, None] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    is_written: bool = False

    def frozen(self) -> Access:
        return Access(
            self.table, self.alias, tuple(self.conditions), tuple(self.alternatives), tuple(self.orders),
            tuple(self.groups), tuple(self.extremes), tuple(self.nearest),
            frozenset(self.needed), frozenset(self.shown), self.is_written,
        )  # fmt: skip


def read_accesses(
    document: Mapping[str, Any], root_of: Callable[[Table], Table], columns_of: Callable[[Table], Collection[str]]
) -> tuple[Access, ...]:
    """Every table of a plan in EXPLAIN's JSON (VERBOSE), in the plan's order.

    `root_of` leads from a partition to its partitioned table; partitions that are reached alike are told once.
    `columns_of` a table are its columns' names.
    """
    reader = _Reader(document, root_of, columns_of)
    reader.read()
    found: dict[tuple[Any, ...], Access] = {}
    for gathered in reader.gathered.values():
        access = gathered.frozen()
        found.setdefault((access.table, *_contents(access)), access)
    return tuple(found.values())


def _contents(access: Access) -> tuple[Any, ...]:
    return (access.conditions, access.alternatives, access.orders, access.groups, access.extremes, access.needed)


class _Reader:
    """One plan while it is read."""

    def __init__(
        self,
        document: Mapping[str, Any],
        root_of: Callable[[Table], Table],
        columns_of: Callable[[Table], Collection[str]],
    ) -> None:
        likes = frozenset(_likes(document, root_of))
        self._nodes = [(node, parent) for node, parent in _with_parents(document) if id(node) not in likes]
        self.gathered: dict[str, _Gathered] = {}
        for node, _ in self._nodes:
            if "Relation Name" in node and "Alias" in node and "Schema" in node:
                table = root_of((node["Schema"], node["Relation Name"]))
                found = self.gathered.setdefault(node["Alias"], _Gathered(table, node["Alias"]))
                found.is_written = found.is_written or node["Node Type"] == "ModifyTable"
        self._numbered = {_unnumbered(alias): one for alias, one in reversed(self.gathered.items())}
        only = next(iter(self.gathered.values())) if len(self.gathered) == 1 else None
        self._only = None if only is None else (only.alias, columns_of(only.table))

    def _outputs(self, node: Mapping[str, Any]) -> Iterator[str]:
        """Qualified: with a single table PostgreSQL does so everywhere but here."""
        for output in node.get("Output", ()):
            yield str(output) if self._only is None or columns(output) else qualified(output, *self._only)

    def read(self) -> None:
        for node, parent in self._nodes:
            for label in _CONDITIONS:
                if label in node and label != "Recheck Cond":
                    self._read_condition(str(node[label]))
            self._read_orders(node)
            self._read_needed(node, parent)

    def _of(self, alias: str) -> _Gathered | None:
        # A partitioned table's own alias is printed above its partitions, whose aliases are numbered; an Append may
        # have its largest first, and that is then the one which tells it all.
        return self.gathered.get(alias) or self.gathered.get(f"{alias}_1") or self._numbered.get(alias)

    def _read_condition(self, text: str) -> None:
        for term in terms(text):
            self._need(term)
            parts = arms(term)
            if len(parts) == 1:
                for owner, condition in self._conditions(term):
                    owner.conditions.setdefault(condition)
            else:
                self._read_alternatives(parts)

    def _read_alternatives(self, parts: Sequence[str]) -> None:
        owners = {alias for part in parts for alias, _ in columns(part)}
        for alias in owners:
            owner = self._of(alias)
            found = tuple(
                tuple(condition for term in terms(part) for who, condition in self._conditions(term) if who is owner)
                for part in parts
            )
            if owner is not None and all(found):
                owner.alternatives.setdefault(found)

    def _conditions(self, term: str) -> Iterator[tuple[_Gathered, Condition]]:
        """The term as each of the tables in it sees it."""
        found = comparison(term)
        sides = [found]
        if found.right and found.operator in _FLIPPED:
            sides.append(Comparison(found.right, _FLIPPED[found.operator], found.left))
        for one in sides:
            aliases = {alias for alias, _ in columns(one.left)}
            owner = self._of(next(iter(aliases))) if len(aliases) == 1 else None
            others = {alias for alias, _ in columns(one.right)}
            if owner is None or aliases & others:
                continue
            yield from self._keyed(owner, one, term, frozenset(others))

    def _keyed(
        self, owner: _Gathered, one: Comparison, term: str, others: frozenset[str]
    ) -> Iterator[tuple[_Gathered, Condition]]:
        fixed = not others and "$" not in term and "Plan " not in term and "CTE" not in term
        row = _row(one.left)
        if row is not None:
            # (a, b) < (x, y) is a range of an index that begins with a, b: its first column bounds it.
            for part in row:
                yield owner, Condition(_expression(part), f"row {one.operator}", one.right, unqualified(term), others)
            return
        key = _expression(one.left)
        yield owner, Condition(key, one.operator, one.right, unqualified(term), others, fixed, parameter_of(one.right))

    def _read_orders(self, node: Mapping[str, Any]) -> None:
        for label in ("Sort Key", "Group Key"):
            keys = [str(key) for key in node.get(label, ())]
            for key in keys:
                self._need(key, is_shown=True)
            if label == "Sort Key" and node["Node Type"] != "Append":
                self._add_order(keys)
            elif label == "Group Key":
                self._add_group(keys)
        for output in self._outputs(node) if node["Node Type"] == "Aggregate" else ():
            self._add_extreme(output)

    def _add_order(self, keys: Sequence[str]) -> None:
        order: list[OrderKey] = []
        owner: _Gathered | None = None
        for key in keys:
            one = _order_key(key)
            aliases = {alias for alias, _ in columns(one.key.text)}
            found = self._of(next(iter(aliases))) if len(aliases) == 1 else None
            if found is None or (owner is not None and found is not owner):
                break
            owner = found
            order.append(OrderKey(_expression(one.key.text), one.descending, one.nulls_first))
        if owner is not None and order:
            first = comparison(order[0].key.text)
            if (
                not order[0].key.is_column
                and first.operator.startswith("<")
                and first.operator not in ("<", "<=", "<>")
            ):
                self._add_nearest(owner, keys[0])
            else:
                owner.orders.setdefault(tuple(order))

    def _add_nearest(self, owner: _Gathered, key: str) -> None:
        found = comparison(_order_key(key).key.text)
        owner.nearest.setdefault(Condition(_expression(found.left), found.operator, found.right, unqualified(key)))

    def _add_group(self, keys: Sequence[str]) -> None:
        by_owner: dict[int, tuple[_Gathered, list[Expression]]] = {}
        for key in keys:
            aliases = {alias for alias, _ in columns(key)}
            owner = self._of(next(iter(aliases))) if len(aliases) == 1 else None
            if owner is not None:
                by_owner.setdefault(id(owner), (owner, []))[1].append(_expression(key))
        for owner, group in by_owner.values():
            owner.groups.setdefault(tuple(group))

    def _add_extreme(self, output: str) -> None:
        inner = bare(output).removeprefix("PARTIAL ")
        if inner.lower().startswith(("min(", "max(")) and len(found := columns(inner)) == 1:
            argument = inner[4 : inner.rindex(")")]
            owner = self._of(found[0][0])
            if owner is not None:
                owner.extremes.setdefault(_expression(argument))

    def _read_needed(self, node: Mapping[str, Any], parent: Mapping[str, Any] | None) -> None:
        kind = parent["Node Type"] if parent is not None else None
        is_scan = "Relation Name" in node and node["Node Type"] != "ModifyTable"
        if is_scan and kind in _TAKES_ANYTHING:
            return
        if node["Node Type"] in ("Append", "Merge Append") and kind in _TAKES_ANYTHING:
            return
        if is_scan and kind in ("Append", "Merge Append"):
            return
        for output in self._outputs(node):
            self._need(output, is_shown=True)

    def _need(self, text: str, *, is_shown: bool = False) -> None:
        for alias, column in columns(text):
            owner = self._of(alias)
            if owner is not None:
                owner.needed.add(column)
                if is_shown:
                    owner.shown.add(column)


def _with_parents(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    parents: dict[int, Mapping[str, Any]] = {}
    for node in nodes(document):
        for child in node.get("Plans", ()):
            parents[id(child)] = node
        yield node, parents.get(id(node))


def _likes(document: Mapping[str, Any], root_of: Callable[[Table], Table]) -> Iterator[int]:
    """Scans, by id(), that one Append does as it does another: of hundreds of partitions one tells it all.

    The first stays: conditions above an Append name it.
    """
    for append in nodes(document):
        seen: set[tuple[object, ...]] = set()
        for node in append.get("Plans", ()) if "Append" in append["Node Type"] else ():
            if "Relation Name" not in node or "Plans" in node:
                continue
            alias = f"{node.get('Alias')}."
            texts = (str(node[label]).replace(alias, ".") for label in ("Output", *_CONDITIONS) if label in node)
            likeness = (node["Node Type"], root_of((node.get("Schema", ""), node["Relation Name"])), *texts)
            if likeness in seen:
                yield id(node)
            seen.add(likeness)


def _unnumbered(alias: str) -> str:
    stem, _, number = alias.rpartition("_")
    return stem if stem and number.isdecimal() else alias


def _row(text: str) -> tuple[str, ...] | None:
    inner = bare(text)
    return listed(inner[4:-1]) if inner.startswith("ROW(") else None


def _expression(text: str) -> Expression:
    column = column_of(text)
    return Expression(column[1]) if column is not None else Expression(bare(unqualified(text)), is_column=False)


def _order_key(text: str) -> OrderKey:
    """`t.a COLLATE "C" DESC NULLS LAST` taken apart; the collation stays with the expression."""
    nulls: bool | None = None
    for words, first in ((" NULLS FIRST", True), (" NULLS LAST", False)):
        if text.endswith(words):
            text, nulls = text.removesuffix(words), first
    descending = text.endswith(" DESC")
    return OrderKey(Expression(bare(text.removesuffix(" DESC")), is_column=False), descending, nulls)
