"""What a plan costs where the pages that it reads lie in memory.

The planner's page costs are those of a disk. Of a database that its caches hold, pages cost next to nothing and rows
cost what they cost: an index that is a narrow copy of its table then saves little, and its order, foreign to that of
the other tables, makes what follows miss the processor's caches. Advice that believes the page costs alone slows such
statements down. The constants were measured on TPC-H at scale factor 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dbtune.advisor.distinct import least_distinct
from dbtune.advisor.lookups import ENTRY, FETCHED, look_up_cost
from dbtune.advisor.source import Source, Table
from dbtune.core.units import parse_size

SEQUENTIAL = 0.1
"""Of a page's cost where it is in memory and read one after the other. With all of TPC-H cached a page takes between
two and ten rows' time, where the planner reckons a hundred (seq_page_cost against cpu_tuple_cost). An index scan's
pages are not made cheaper: what they cost too much there, entries cost too little.
"""
SCATTERED = 0.5
"""The same for a table's pages that a bitmap leads to."""
PROBE, BUILD = 0.03, 0.0125
"""A row that looks into a hash table or enters it, beyond the planner's operator: it misses the processor's cache."""
GROUPED, MANY_GROUPS = 0.06, 10_000
"""A row that looks for its group in a hash table, beyond the planner's operator, where the groups are too many for the
processor's cache. Estimates of so many groups are rather too low than too high, and what then overflows work_mem is
written to disk: rows that come in the groups' order have neither trouble.
"""
FELT = 2 / 3
"""How much of the difference between what is felt and what is planned counts."""
HARM = 1.1
"""A plan that is felt to take so many times as long as the one without any new index is a loss, whatever is planned."""
_LEAST = 0.02
"""Whatever is in memory, a plan keeps this share of its cost."""


@dataclass(frozen=True, slots=True)
class Felt:
    """What a plan costs as it is planned, and as it is felt in memory."""

    planned: float
    in_memory: float

    @property
    def cost(self) -> float:
        """Between the two: the planner knows what it compares, and caches are not always warm."""
        return self.planned + (self.in_memory - self.planned) * FELT

    def beside(self, bare: Felt) -> float:
        """The same, but for a plan that memory makes slower than the `bare` one that the planner leaves for it.

        How far the planner's costs mislead there is not known, that they do is: what is lost is added.
        """
        lost = self.in_memory - bare.in_memory * HARM
        return self.cost if lost <= 0 else max(self.cost, bare.cost + lost)


@dataclass(frozen=True, slots=True)
class Cache:
    """`share` of the database lies in memory, 0 to 1; `pages` are those of tables, `page_cost` one's read in order.

    `distinct` are the fewest values that columns can have, where unique keys say so.
    """

    share: float
    pages: Mapping[tuple[str, str], int]
    page_cost: float = 1.0
    tables: Mapping[tuple[str, str], Table] = field(default_factory=dict)
    distinct: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source) -> Cache:
        """As effective_cache_size has it, which is what the planner believes as well."""
        settings = dict(source.settings)
        pages = {(table.schema, table.name): table.pages for table in source.tables}
        whole = sum(pages.values()) * 8192
        share = min(bytes_of(settings.get("effective_cache_size"), 4 << 30) / whole, 1.0) if whole else 1.0
        distinct = {name: least_distinct(source, table, alone=True) for name, table in source.by_name.items()}
        return cls(share, pages, number_of(settings, "seq_page_cost", 1.0), source.by_name, distinct)

    def felt(self, plan: Mapping[str, Any]) -> Felt:
        """Of a whole plan, as EXPLAIN prints it in JSON."""
        total = float(plan.get("Total Cost", 0.0))
        return Felt(total, max(total - self._saved(plan, 1.0), _LEAST * total))

    def _saved(self, node: Mapping[str, Any], loops: float) -> float:
        """What is not paid, of a node and all below it; less than nothing where the planner reckons too little.

        What a subquery or Memoize repeats stays as it is reckoned.
        """
        saved = self._in_scan(node, loops) - (_hashing(node) + _grouping(node)) * loops
        for child in node.get("Plans", ()):
            times = loops * _loops(node, child)
            if times > 0:
                saved += self._saved(child, times)
        return saved * _part(node)

    def _in_scan(self, node: Mapping[str, Any], loops: float) -> float:
        kind, cost = str(node.get("Node Type")), float(node.get("Total Cost", 0.0))
        if kind == "Seq Scan" and loops == 1.0:
            return self.share * (1 - SEQUENTIAL) * self.pages.get(_table_of(node), 0) * self.page_cost
        if kind == "Bitmap Heap Scan":
            below = node.get("Plans", ())
            own = cost - math.fsum(float(child.get("Total Cost", 0.0)) for child in below)
            fetched = math.fsum(float(child.get("Plan Rows", 0.0)) for child in below)
            pages = max(own - fetched * ENTRY, 0.0)
            return (self.share * (1 - SCATTERED) * pages - fetched * (FETCHED - ENTRY)) * loops
        if kind in _SCANS and loops > 1.0:
            name = _table_of(node)
            felt = look_up_cost(node, self.tables.get(name), self.share, self.distinct.get(name, {}))
            return (cost - felt) * loops
        return 0.0


def _table_of(node: Mapping[str, Any]) -> tuple[str, str]:
    return str(node.get("Schema")), str(node.get("Relation Name"))


_SCANS = ("Index Scan", "Index Only Scan")


def _loops(node: Mapping[str, Any], child: Mapping[str, Any]) -> float:
    """How often a child runs for each run of its parent; 0 where nobody knows."""
    relation = child.get("Parent Relationship")
    if relation == "SubPlan" and f"hashed {child.get('Subplan Name')}" not in str(node.get("Filter", "")):
        return 0.0
    if node.get("Node Type") == "Memoize":
        return 0.0
    if relation == "Inner" and node.get("Node Type") == "Nested Loop" and child.get("Node Type") != "Materialize":
        outer: Mapping[str, Any] = next(
            (one for one in node.get("Plans", ()) if one.get("Parent Relationship") == "Outer"), {}
        )
        times, each = max(float(outer.get("Plan Rows", 1.0)), 1.0), float(child.get("Total Cost", 0.0))
        # A semi-join ends each look-up at the first match, and is reckoned so.
        paid = float(node.get("Total Cost", 0.0)) - float(outer.get("Total Cost", 0.0))
        return min(times, max(paid, 0.0) / each) if each else 0.0
    return 1.0


def _hashing(node: Mapping[str, Any]) -> float:
    if node.get("Node Type") != "Hash Join":
        return 0.0
    outer, inner = (
        math.fsum(
            float(one.get("Plan Rows", 0.0)) for one in node.get("Plans", ()) if one.get("Parent Relationship") == side
        )
        for side in ("Outer", "Inner")
    )
    return outer * PROBE + inner * BUILD


def _grouping(node: Mapping[str, Any]) -> float:
    if node.get("Strategy") != "Hashed" or float(node.get("Plan Rows", 0.0)) < MANY_GROUPS:
        return 0.0
    return math.fsum(float(one.get("Plan Rows", 0.0)) for one in node.get("Plans", ())) * GROUPED


def _part(node: Mapping[str, Any]) -> float:
    """LIMIT pays for a part only of what is below it."""
    if node.get("Node Type") != "Limit":
        return 1.0
    below = math.fsum(float(child.get("Total Cost", 0.0)) for child in node.get("Plans", ()))
    return min(float(node.get("Total Cost", 0.0)) / below, 1.0) if below else 1.0


def number_of(settings: Mapping[str, str], name: str, otherwise: float) -> float:
    """A setting as a number."""
    try:
        return float(settings[name])
    except (KeyError, ValueError):
        return otherwise


def bytes_of(text: str | None, otherwise: int) -> int:
    """A size as `show` prints it, or in blocks of 8 kB as pg_settings does."""
    if text is None:
        return otherwise
    if text.isdigit():
        return int(text) * 8192
    try:
        return int(parse_size(text))
    except ValueError:
        return otherwise
