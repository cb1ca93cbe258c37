"""Look-ups of a nested loop, in memory: how many rows each fetches, and how many times it turns to another page.

The planner reckons with pages that come from a disk: one that an earlier look-up has brought costs nothing any more,
and it takes for granted that there are as many look-ups as the table that they come from has rows (get_loop_count),
though a join may have left few of them. In memory each row that lies in another page than the one before misses the
processor's caches, however often the page was there before. On TPC-H at scale factor 1, where the constants were
measured, this tells look-ups of one row and of six hundred, of rows side by side and of scattered ones, within a third.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from dbtune.advisor.printed import column_of, comparison, terms
from dbtune.advisor.source import Table

DESCENT, FETCHED, TURNED = 0.4, 0.03, 0.25
"""One look-up, each row that it fetches, and each turn to another page of the table: measured in the time that a row of
a sequential scan takes, which is 0.0125 of the planner's units."""
ENTRY = 0.0175
"""What the planner reckons for each row fetched, besides pages: cpu_index_tuple_cost, cpu_tuple_cost, an operator."""


def look_up_cost(node: Mapping[str, Any], table: Table | None, share: float, distinct: Mapping[str, float]) -> float:
    """Of one look-up, in the planner's units; of the database `share` lies in memory.

    `distinct` are the fewest values that columns can have (advisor.distinct): no look-up fetches more than their rows.
    """
    cost, rows = float(node.get("Total Cost", 0.0)), float(node.get("Plan Rows", 0.0))
    fetched, turned = rows, 0.0
    if node.get("Node Type") == "Index Scan":
        columns = equal_columns(str(node.get("Index Cond", "")))
        if "Filter" in node:
            fetched = max(rows, min(_matching(columns, table), (cost - DESCENT) / ENTRY))
        if columns is not None and table is not None:
            fetched = min([fetched, *(table.live_rows / distinct[one] for one in columns if one in distinct)])
        turned = max(fetched * _scattered(columns, table), 1.0)
    on_disk = max(cost - DESCENT - fetched * ENTRY, 0.0)
    return DESCENT + fetched * FETCHED + share * turned * TURNED + (1.0 - share) * on_disk


@functools.lru_cache(maxsize=4096)
def equal_columns(condition: str) -> tuple[str, ...] | None:
    """The index's columns in a condition of nothing but equalities, as EXPLAIN prints it; else None."""
    found = []
    for term in terms(condition):
        compared = comparison(term)
        column = column_of(compared.left) if compared.operator == "=" else None
        if column is None:
            return None
        found.append(column[1])
    return tuple(found) or None


def _matching(columns: tuple[str, ...] | None, table: Table | None) -> float:
    """How many rows have the same values in these columns; none where nobody knows."""
    if columns is None or table is None:
        return 0.0
    matching = table.live_rows
    for column in table.columns:
        if column.name in columns and column.stats is not None:
            matching *= (1.0 - column.stats.null_frac) / column.stats.distinct(table.live_rows)
    return matching


def _scattered(columns: tuple[str, ...] | None, table: Table | None) -> float:
    """Which share of rows with equal values lies away from the row before."""
    if columns is None or table is None:
        return 1.0
    known = next((one.stats for one in table.columns if one.name == columns[0]), None)
    return 1.0 if known is None or known.correlation is None else 1.0 - known.correlation**2
