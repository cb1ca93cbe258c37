"""What a GiST index holds for each row, and how full its pages are: sorted first, or as inserting has split them.

Fill factors were measured with PostgreSQL 13, 15 and 18 on ranges, points, boxes, numbers, texts and trees of labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.index_size import Attribute
from dbtune.advisor.source import Column, Table
from dbtune.servers.embedded.twin_gin import lexemes

_SORTS_RANGES = 180000
_SORTS_POINTS = 140000
_SPLITS_SORTED = 150000
_PLAIN = frozenset({
    "int2", "int4", "int8", "float4", "float8", "numeric", "oid", "money", "bool", "date", "time", "timetz",
    "timestamp", "timestamptz", "interval", "text", "varchar", "bpchar", "bytea", "uuid", "macaddr", "bit", "varbit",
})  # fmt: skip
_SORTED_FILL, _SORTED_SHAPES_FILL = 0.97, 0.70
"""Sorted tuples are split four pages at a time (since 15): evenly where they have an order, else not."""
_PACKED_FILL = 0.90
"""GIST_DEFAULT_FILLFACTOR: 14 packed them one page after the other."""
_INSERTED_FILL, _INSERTED_IN_ORDER_FILL = 0.58, 0.48
_OWN_FILL = {"trigrams": 0.60, "words": 0.80, "network": 0.70}
"""Those whose likeness decides where a page is split."""
_IN_ORDER = 0.99
_TRIGRAMS_HEADER, _LEXEMES_HEADER = 5, 8
_LABEL_HEADER = 8


def gist_fill(version: int, table: Table, keys: Sequence[IndexKey]) -> float:
    """The share of a page that tuples take after CREATE INDEX."""
    columns = [table.column(key.column) if key.column is not None else None for key in keys]
    kinds = [_kind(column, key) for column, key in zip(columns, keys, strict=True)]
    since = {"plain": _SORTS_RANGES, "range": _SORTS_RANGES, "point": _SORTS_POINTS}
    if all(version >= since.get(kind, version + 1) for kind in kinds):
        if version < _SPLITS_SORTED:
            return _PACKED_FILL
        return _SORTED_FILL if set(kinds) == {"plain"} else _SORTED_SHAPES_FILL
    if kinds[0] in _OWN_FILL:
        return _OWN_FILL[kinds[0]]
    stats = columns[0].stats if columns[0] is not None else None
    follows = stats is not None and abs(stats.correlation or 0.0) >= _IN_ORDER
    return _INSERTED_IN_ORDER_FILL if follows else _INSERTED_FILL


def gist_attributes(table: Table, definition: IndexDefinition, keys: Sequence[Attribute]) -> list[Attribute]:
    """As their operator classes store them: trigrams and words as arrays, labels with a header of their own."""
    found = []
    for key, one in zip(definition.keys, keys, strict=True):
        column = table.column(key.column) if key.column is not None else None
        width = one.width
        if "trgm" in (key.opclass or ""):
            # Three bytes for each letter.
            width = _TRIGRAMS_HEADER + 3 * width
        elif column is not None and column.base == "tsvector" and column.stats is not None:
            width = _LEXEMES_HEADER + 4 * lexemes(column.stats)
        elif column is not None and column.base == "ltree":
            width += _LABEL_HEADER
        found.append(one if width == one.width else replace(one, width=width, widths=()))
    return found


def _kind(column: Column | None, key: IndexKey) -> str:
    if "trgm" in (key.opclass or ""):
        return "trigrams"
    if column is None:
        return "other"
    if column.base in ("tsvector", "inet", "cidr"):
        return "words" if column.base == "tsvector" else "network"
    if column.kind == "r" or column.base.endswith("range"):
        return "range"
    return "point" if column.base == "point" else "plain" if column.base in _PLAIN or column.kind == "e" else "other"
