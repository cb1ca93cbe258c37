"""INCLUDE: the columns that make an index-only scan of an index scan."""

from __future__ import annotations

from dataclasses import replace

from dbtune.advisor.access import Access
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.source import Column, Table

MOST_COLUMNS = 8
MOST_BYTES = 160
"""Width of what is included, on average: beyond it the index becomes a second table."""
MOST_SHARE = 0.7
"""Of the row's width: an index nearly as wide as the table saves nothing."""
_DOCUMENTS = ("json", "jsonb", "xml", "tsvector", "hstore", "bytea")
"""Whole documents, arrays too, stay in the table: an index that repeats them is what their writers pay for."""


def with_include(definition: IndexDefinition, access: Access, table: Table) -> IndexDefinition | None:
    """The same with all that the statement reads; None where it has that already, or should not have."""
    if access.is_written or definition.method != "btree":
        return None
    names = {column.name for column in table.columns}
    if not access.needed <= names:
        return None
    have = set(definition.columns)
    wanted = access.needed - have - _implied(definition, access)
    missing = tuple(column.name for column in table.columns if column.name in wanted)
    if not missing or len(missing) > MOST_COLUMNS:
        return None
    if any(column.name in wanted and _is_document(column) for column in table.columns):
        return None
    widths = {column.name: _width(column.name, table) for column in table.columns}
    whole = sum(widths.values())
    added = sum(widths[name] for name in missing)
    if added > MOST_BYTES or added + sum(widths.get(name, 0) for name in have) > max(MOST_SHARE * whole, 16):
        return None
    return replace(definition, include=missing)


def _implied(definition: IndexDefinition, access: Access) -> frozenset[str]:
    """Columns of which the statement asks only what a partial index's predicate says already."""
    if definition.where is None:
        return frozenset()
    elsewhere = {one.key.text for one in access.conditions if one.text not in definition.where}
    fixed = {one.key.text for one in access.conditions if one.text in definition.where}
    return frozenset(fixed - elsewhere - access.shown)


def _is_document(column: Column) -> bool:
    return column.base in _DOCUMENTS or column.base.startswith("_")


def _width(name: str, table: Table) -> int:
    column = table.column(name)
    if column is None:
        return 0
    if column.stats is not None:
        return column.stats.avg_width
    return column.length if column.length > 0 else 32
