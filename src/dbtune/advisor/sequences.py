"""Keys of B-trees for one access: equality first, then one range, or the order that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dbtune.advisor.access import Access, Condition, Expression, OrderKey
from dbtune.advisor.index import IndexKey
from dbtune.advisor.keys import EQUAL, LISTED, PATTERNS, RANGES, column_of, key_of, prefix_key
from dbtune.advisor.source import Index, Source, Table

MOST_KEYS = 6
MOST_RANGES = 4
_UNORDERED = ("json", "xml", "point", "box", "polygon", "circle", "lseg", "path", "line", "tsquery")
"""Types without a B-tree operator class; jsonb, arrays and tsvector have one that nobody wants as a key."""
_NO_KEY = (*_UNORDERED, "jsonb", "tsvector")


@dataclass(frozen=True, slots=True)
class KeySequence:
    """`bound` are the leading keys held equal."""

    keys: tuple[IndexKey, ...]
    why: str
    bound: int = 0


@dataclass(frozen=True, slots=True)
class _Parts:
    """`led` are the keys held equal in the order in which an index that is there begins, if one does."""

    equal: tuple[Condition, ...]
    led: tuple[IndexKey, ...]
    listed: tuple[Condition, ...]
    ranges: tuple[tuple[IndexKey, ...], ...]
    joined: tuple[tuple[Condition, ...], ...]


def key_sequences(
    access: Access, source: Source, table: Table, *, leaving_out: frozenset[str] = frozenset()
) -> tuple[KeySequence, ...]:
    """The plainest first, each once. `leaving_out`: keys that a partial index holds fixed already."""
    conditions = tuple(one for one in access.conditions if one.key.text not in leaving_out)
    parts = _parts(conditions, source, table)
    found: dict[tuple[IndexKey, ...], KeySequence] = {}
    for sequence in _all(access, parts, table, leaving_out):
        keys = sequence.keys[:MOST_KEYS]
        if keys and len({key.text for key in keys}) == len(keys):
            found.setdefault(keys, KeySequence(keys, sequence.why, sequence.bound))
    return tuple(found.values())


def equal_keys(conditions: Iterable[Condition], table: Table) -> tuple[IndexKey, ...]:
    """Those held equal, the most selective first; each key once."""
    rows = max(table.live_rows, 1.0)
    found: dict[str, tuple[float, int, IndexKey]] = {}
    for place, condition in enumerate(conditions):
        key = _btree_key(condition.key, table)
        if key is not None:
            found.setdefault(key.text, (-_distinct(condition, table, rows), place, key))
    return tuple(key for _, _, key in sorted(found.values(), key=lambda one: one[:2]))


def range_keys(conditions: Iterable[Condition], source: Source, table: Table) -> tuple[tuple[IndexKey, ...], ...]:
    """Keys that bound a range: a comparison, a pattern's prefix; several columns for a comparison of rows."""
    found: dict[tuple[IndexKey, ...], None] = {}
    rows: dict[str, list[IndexKey]] = {}
    for condition in conditions:
        key = _btree_key(condition.key, table)
        if key is None:
            continue
        if condition.operator.startswith("row "):
            rows.setdefault(condition.text, []).append(key)
        elif condition.operator in RANGES or condition.operator == "is not null":
            found.setdefault((key,))
        elif condition.operator in PATTERNS and (pattern := prefix_key(source, table, condition)) is not None:
            found.setdefault((pattern,))
    for keys in rows.values():
        found.setdefault(tuple(keys))
    return tuple(found)[:MOST_RANGES]


def order_keys(order: Sequence[OrderKey], table: Table, bound: Iterable[str]) -> tuple[IndexKey, ...]:
    """The sort order without what is constant already; empty where some key cannot be in an index."""
    constant = set(bound)
    keys: list[IndexKey] = []
    for one in order:
        if one.key.text in constant:
            continue
        plain = _btree_key(one.key, table)
        if plain is None:
            return ()
        constant.add(one.key.text)
        keys.append(IndexKey(plain.column, plain.expression, descending=one.descending, nulls_first=one.nulls_first))
    return tuple(keys)


def _parts(conditions: Sequence[Condition], source: Source, table: Table) -> _Parts:
    equal = tuple(one for one in conditions if one.operator in EQUAL and not one.joins)
    joined: dict[frozenset[str], list[Condition]] = {}
    for one in conditions:
        if one.joins and one.operator in ("=", "= any"):
            joined.setdefault(one.joins, []).append(one)
    return _Parts(
        equal,
        _led_by_existing(equal_keys(equal, table), source, table),
        tuple(one for one in conditions if one.operator in LISTED and not one.joins),
        range_keys(conditions, source, table),
        tuple(tuple(group) for group in joined.values()),
    )


def _led_by_existing(equal: tuple[IndexKey, ...], source: Source, table: Table) -> tuple[IndexKey, ...]:
    """In which order these keys stand matters little, and an index that begins as an existing one takes its place."""
    names = {key.column for key in equal}
    heads = [
        [row.column for row in index.keys]
        for index in source.indexes_of(table)
        if _may_be_extended(index) and names.issuperset(row.column for row in index.keys)
    ]
    head = max(heads, key=len, default=[])
    return tuple(sorted(equal, key=lambda key: head.index(key.column) if key.column in head else len(head)))


def _may_be_extended(index: Index) -> bool:
    is_plain = all(
        row.column is not None and row.option == 0 and row.opclass_is_default and not row.collation_is_own
        for row in index.keys
    )
    whole = index.method == "btree" and index.predicate is None and index.is_valid
    return is_plain and whole and not index.is_unique and index.parent is None


def _all(access: Access, parts: _Parts, table: Table, fixed: frozenset[str]) -> Iterator[KeySequence]:
    listed = equal_keys(parts.listed, table)
    for bound, why in _bounds(parts, table):
        yield from _with_rest(access, parts, table, (bound, why, fixed))
        if listed:
            both = _merge(bound, listed)
            yield KeySequence(both, f"{why}{' and ' if why else ''}one of a list", len(bound))
            for keys in parts.ranges:
                yield KeySequence(
                    _merge(both, keys), f"{why}{', ' if why else ''}one of a list, then a range", len(bound)
                )
    for condition in (*parts.equal, *parts.listed, *(one for group in parts.joined for one in group)):
        yield KeySequence(equal_keys((condition,), table), "equality", 1)
    for expression in access.extremes:
        yield KeySequence(_keys((expression,), table), "its least or greatest", 0)


def _bounds(parts: _Parts, table: Table) -> Iterator[tuple[tuple[IndexKey, ...], str]]:
    """What may be held equal at once: constants, and the columns that join one other table, or all."""
    equal = parts.led
    yield equal, "equality" if equal else ""
    for group in parts.joined:
        joined = equal_keys(group, table)
        if joined:
            yield joined, "join"
            if equal:
                yield _merge(joined, equal), "join and equality"
                yield _merge(equal, joined), "equality and join"
    if len(parts.joined) > 1:
        yield _merge(equal, equal_keys([one for group in parts.joined for one in group], table)), "all joins"
    if equal:
        # A range or an order alone may be enough, or all that a LIMIT needs.
        yield (), ""


def _with_rest(
    access: Access, parts: _Parts, table: Table, start: tuple[tuple[IndexKey, ...], str, frozenset[str]]
) -> Iterator[KeySequence]:
    bound, why, fixed = start
    known = fixed | {key.text for key in bound}
    number = len(bound)
    if bound:
        yield KeySequence(bound, why, number)
    lead = f"{why}, then " if why else ""
    for order in access.orders:
        keys = order_keys(order, table, known)
        if keys:
            yield KeySequence((*bound, *keys), f"{lead}the order", number)
    for keys in parts.ranges:
        if not {key.text for key in keys} <= known:
            yield KeySequence(_merge(bound, keys), f"{lead}a range", number)
    yield from _grouped(access, table, (bound, lead), known)
    for expression in access.extremes:
        keys = tuple(key for key in _keys((expression,), table) if key.text not in known)
        if keys and bound:
            yield KeySequence((*bound, *keys), f"{lead}its least or greatest", number)


def _grouped(
    access: Access, table: Table, start: tuple[tuple[IndexKey, ...], str], known: frozenset[str]
) -> Iterator[KeySequence]:
    bound, lead = start
    for group in access.groups:
        keys = tuple(key for key in _keys(group, table) if key.text not in known)
        if keys:
            yield KeySequence((*bound, *keys), f"{lead}the groups", len(bound))
            if access.extremes:
                yield KeySequence(
                    _merge((*bound, *keys), _keys(access.extremes, table)), "groups, then extremes", len(bound)
                )


def _merge(first: Sequence[IndexKey], second: Sequence[IndexKey]) -> tuple[IndexKey, ...]:
    known = {key.text for key in first}
    return (*first, *(key for key in second if key.text not in known))


def _keys(expressions: Iterable[Expression], table: Table) -> tuple[IndexKey, ...]:
    return tuple(key for one in expressions if (key := _btree_key(one, table)) is not None)


def _btree_key(key: Expression, table: Table) -> IndexKey | None:
    column = column_of(table, key)
    if key.is_column and (column is None or column.base in _NO_KEY):
        return None
    return key_of(key)


def _distinct(condition: Condition, table: Table, rows: float) -> float:
    column = column_of(table, condition.key)
    if condition.operator in ("true", "false", "is null", "is true", "is false", "is unknown"):
        return 2.0
    return column.stats.distinct(rows) if column is not None and column.stats is not None else 200.0
