"""Indexes other than B-trees: GIN for what is inside a value, GiST for ranges and shapes, BRIN and hash for size."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.advisor.access import Access, Condition
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.keys import RANGES, column_of, extensions, key_of, special_key
from dbtune.advisor.source import Source, Table

LEAST_BRIN_PAGES = 4096
"""32 MB: below it a B-tree costs little, and BRIN's coarseness much."""
LEAST_CORRELATION = 0.95
"""Of the order on disk with the values: BRIN keeps a least and a greatest value for each 128 pages."""
LEAST_HASH_WIDTH = 40
"""Bytes of a value on average; a hash index keeps four, and a B-tree all of them."""
_MIXES = ("int2", "int4", "int8", "text", "varchar", "uuid", "date", "timestamptz", "timestamp", "numeric", "inet")
"""Types for which btree_gist has classes."""


def special_indexes(access: Access, source: Source, table: Table) -> Iterator[tuple[IndexDefinition, str, bool]]:
    """(index, why, whether the planner's estimate rests on nothing)."""
    arms = (one for alternatives in access.alternatives for arm in alternatives for one in arm)
    for condition in dict.fromkeys((*access.conditions, *arms)):
        found = special_key(source, table, condition)
        if found is not None:
            method, key = found
            yield _index(table, method, key), f"{condition.operator} by {method.upper()}", True
            if method == "gist":
                yield from _mixed(access, source, table, key)
    for condition in access.nearest:
        nearest = _nearest_key(source, table, condition)
        if nearest is not None:
            yield _index(table, "gist", nearest), "the nearest first", True
    yield from _brin(access, table)
    yield from _hash(access, table)


def special_arm(condition: Condition, source: Source, table: Table) -> IndexDefinition | None:
    """For an arm of an OR that no B-tree answers."""
    found = special_key(source, table, condition)
    return None if found is None else _index(table, *found)


def _index(table: Table, method: str, *keys: IndexKey) -> IndexDefinition:
    return IndexDefinition(table.schema, table.name, keys, method=method)


def _mixed(access: Access, source: Source, table: Table, key: IndexKey) -> Iterator[tuple[IndexDefinition, str, bool]]:
    """A room and a time: btree_gist lets equality and ranges share one index."""
    if "btree_gist" not in extensions(source):
        return
    for condition in access.conditions:
        column = column_of(table, condition.key)
        if condition.operator == "=" and column is not None and column.base in _MIXES:
            yield _index(table, "gist", IndexKey(column=column.name), key), "equality and a range by GIST", True


def _nearest_key(source: Source, table: Table, condition: Condition) -> IndexKey | None:
    key, column = key_of(condition.key), column_of(table, condition.key)
    if key is None or column is None:
        return None
    if column.base in ("point", "box", "polygon", "circle"):
        return key
    if column.base in ("text", "varchar") and "pg_trgm" in extensions(source):
        schema = extensions(source)["pg_trgm"]
        name = "gist_trgm_ops" if schema == "public" else f"{schema}.gist_trgm_ops"
        return IndexKey(column=key.column, opclass=name)
    return None


def _brin(access: Access, table: Table) -> Iterator[tuple[IndexDefinition, str, bool]]:
    if table.pages < LEAST_BRIN_PAGES:
        return
    for condition in access.conditions:
        column = column_of(table, condition.key)
        stats = column.stats if column is not None else None
        wanted = condition.operator in RANGES or condition.operator == "="
        if wanted and column is not None and stats is not None and abs(stats.correlation or 0.0) >= LEAST_CORRELATION:
            why = "a range of values that lie in the order of the table"
            yield _index(table, "brin", IndexKey(column=column.name)), why, True


def _hash(access: Access, table: Table) -> Iterator[tuple[IndexDefinition, str, bool]]:
    for condition in access.conditions:
        column = column_of(table, condition.key)
        stats = column.stats if column is not None else None
        if condition.operator != "=" or column is None or stats is None or stats.avg_width < LEAST_HASH_WIDTH:
            continue
        if stats.distinct(max(table.live_rows, 1.0)) * 2 >= table.live_rows * (1 - stats.null_frac):
            yield _index(table, "hash", IndexKey(column=column.name)), "equality of long values", False
