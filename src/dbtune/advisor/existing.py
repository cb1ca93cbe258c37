"""What is there already: no copy of an index, and no beginning of one, is ever proposed."""

from __future__ import annotations

import re

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Index, KeyRow, Source, Table

_DESCENDING, _NULLS_FIRST = 1, 2


def is_there(wanted: IndexDefinition, source: Source, table: Table) -> bool:
    """Whether an existing valid index does all that this one would."""
    return is_begun(wanted, source, table) or any(
        _is_beneath_unique(index, wanted) for index in source.indexes_of(table) if index.is_valid
    )


def is_begun(wanted: IndexDefinition, source: Source, table: Table) -> bool:
    """Whether it is a copy of an existing valid index, or what one begins with."""
    return any(_covers(index, wanted) for index in source.indexes_of(table) if index.is_valid)


def is_same(index: Index, wanted: IndexDefinition) -> bool:
    """Whether it is this very index under whatever name, valid or not: one may stand in the place of the other."""
    pairs = list(zip(index.keys, wanted.keys, strict=False))
    return (
        _covers(index, wanted)
        and len(index.keys) == len(wanted.keys)
        and (index.include, index.is_unique, index.nulls_not_distinct) == (wanted.include, wanted.unique, False)
        and all(_direction(row) == _wanted_direction(key) for row, key in pairs)
        and all((row.collation if row.collation_is_own else None) == key.collation for row, key in pairs)
    )


def covers(larger: IndexDefinition, smaller: IndexDefinition) -> bool:
    """Whether one index does all that the other does: it begins with its keys, read forwards or backwards."""
    if (larger.schema, larger.table, larger.method, larger.where) != (
        smaller.schema, smaller.table, smaller.method, smaller.where,
    ):  # fmt: skip
        return False
    if larger.method in ("hash", "gin", "gist", "spgist", "brin"):
        return larger.keys == smaller.keys
    head = larger.keys[: len(smaller.keys)]
    same = head == smaller.keys or tuple(map(_reversed, head)) == smaller.keys
    return same and set(smaller.include) <= set(larger.columns)


def _reversed(key: IndexKey) -> IndexKey:
    nulls = None if key.nulls_first is None else not key.nulls_first
    return IndexKey(
        key.column, key.expression, descending=not key.descending, nulls_first=nulls, opclass=key.opclass,
        collation=key.collation,
    )  # fmt: skip


def _covers(index: Index, wanted: IndexDefinition) -> bool:
    if index.method != wanted.method or not _same_predicate(index.predicate, wanted.where):
        return False
    if len(index.keys) < len(wanted.keys):
        return False
    pairs = list(zip(index.keys, wanted.keys, strict=False))
    if not all(_same_key(row, key) for row, key in pairs):
        return False
    if index.method != "btree":
        return len(index.keys) == len(wanted.keys)
    have = {row.column for row in index.keys} | set(index.include)
    forwards = all(_direction(row) == _wanted_direction(key) for row, key in pairs)
    backwards = all(_direction(row) == _opposite(_wanted_direction(key)) for row, key in pairs)
    return (forwards or backwards) and set(wanted.include) <= have


def _is_beneath_unique(index: Index, wanted: IndexDefinition) -> bool:
    """Beginning with all keys of a unique index, further keys can tell nothing apart: one row is found either way.

    Not so for an index that only adds columns for index-only scans, and where nulls may repeat.
    """
    keys = [row.column for row in index.keys]
    if not index.is_unique or index.predicate is not None or None in keys or index.method != "btree":
        return False
    head = [key.column for key in wanted.keys[: len(keys)]]
    return (
        index.constraint == "p"
        and wanted.method in ("btree", "hash")
        and not wanted.include
        and wanted.where is None
        and len(wanted.keys) <= len(keys) + 1
        and head == keys
    )


def _same_key(row: KeyRow, key: IndexKey) -> bool:
    if key.column is not None:
        same = row.column == key.column
    else:
        same = row.column is None and _plain(row.expression or "") == _plain(key.expression or "")
    own = key.opclass.rpartition(".")[2] if key.opclass is not None else None
    return same and (row.opclass_is_default if own is None else row.opclass.rpartition(".")[2].strip('"') == own)


def _direction(row: KeyRow) -> tuple[bool, bool]:
    return bool(row.option & _DESCENDING), bool(row.option & _NULLS_FIRST)


def _wanted_direction(key: IndexKey) -> tuple[bool, bool]:
    return key.descending, key.descending if key.nulls_first is None else key.nulls_first


def _opposite(direction: tuple[bool, bool]) -> tuple[bool, bool]:
    return not direction[0], not direction[1]


def _same_predicate(there: str | None, wanted: str | None) -> bool:
    return (None if there is None else _plain(there)) == (None if wanted is None else _plain(wanted))


def _plain(text: str) -> str:
    """Without brackets and spaces, which PostgreSQL prints here and not there."""
    return re.sub(r"[()\s]+", "", text)
