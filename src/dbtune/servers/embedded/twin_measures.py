"""How large a candidate would be: what the twin's catalog says of its columns, and what the source's statistics do."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dbtune.advisor import index_size
from dbtune.advisor.arrays import array_items, counted
from dbtune.advisor.cached import number_of
from dbtune.advisor.distinct import least_distinct
from dbtune.advisor.gin_size import gin
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.index_size import Attribute, Size
from dbtune.advisor.source import Column, ColumnStatistics, Source, Table
from dbtune.advisor.spread import Group, even, occurring, unlisted
from dbtune.advisor.texts import words_of
from dbtune.servers.embedded.twin_fields import Field, field_of
from dbtune.servers.embedded.twin_gin import elements
from dbtune.servers.embedded.twin_gist import gist_attributes, gist_fill

_ALIGNMENT = {"c": 1, "s": 2, "i": 4, "d": 8}
_SAMPLE = 200
ROWS_A_TARGET = 300
"""What std_typanalyze samples."""
_SPGIST_FILL = 0.65
_IN_ORDER = 0.99999
_TEXTUAL = frozenset({"text", "varchar", "bpchar"})
_GUESSED_WIDTH = 16.0


@dataclass(frozen=True, slots=True)
class BuiltColumn:
    """A column of a built index: `column` is the table's, None for an expression; `merges` as equal values may."""

    column: str | None
    length: int
    alignment: str
    is_key: bool
    merges: bool


def measure(
    source: Source, table: Table, definition: IndexDefinition, built: Sequence[BuiltColumn], rows: float
) -> Size:
    """The size over `rows` of `table`, which are all of them unless the index is partial."""
    least = least_distinct(source, table, alone=len(definition.keys) == 1)
    target = int(number_of(dict(source.settings), "default_statistics_target", 100))
    attributes = [
        _attribute(table, definition, place, one, rows, least=least, target=target) for place, one in enumerate(built)
    ]
    keys = [attribute for attribute, one in zip(attributes, built, strict=True) if one.is_key]
    include = [attribute for attribute, one in zip(attributes, built, strict=True) if not one.is_key]
    options = dict(definition.options)
    match definition.method:
        case "btree":
            return index_size.btree(
                rows,
                keys,
                include,
                unique=definition.unique,
                distinct=_combinations(source, table, definition),
                fill=int(options.get("fillfactor", index_size.LEAF_FILL)),
                deduplicate=options.get("deduplicate_items", "on") not in ("off", "false", "0"),
            )
        case "hash":
            return index_size.hash_index(rows, keys[0])
        case "gin":
            return _gin(table, definition, keys, rows)
        case "brin":
            per_range = int(options.get("pages_per_range", "128"))
            return index_size.brin(table.pages, keys, per_range)
        case "gist":
            fill = gist_fill(source.version, table, definition.keys)
            return index_size.gist(rows, [*gist_attributes(table, definition, keys), *include], fill)
        case _:
            return index_size.gist(rows, [*keys, *include], _SPGIST_FILL)


def known_statistics(table: Table, definition: IndexDefinition) -> bool:
    """Whether the planner knows something of every key."""
    columns = [table.column(key.column) for key in definition.keys if key.column is not None]
    return len(columns) == len(definition.keys) and all(column is not None and column.stats for column in columns)


def _attribute(
    table: Table,
    definition: IndexDefinition,
    place: int,
    built: BuiltColumn,
    rows: float,
    *,
    least: Mapping[str, float],
    target: int,
) -> Attribute:
    column = table.column(built.column) if built.column is not None else None
    expression = definition.keys[place].expression if place < len(definition.keys) else None
    # What an expression makes of a column is as wide and as different as the column, for want of better knowledge.
    column = column or _mentioned(table, expression)
    stats = column.stats if column is not None else None
    if column is None or stats is None:
        return Attribute(built.length, _ALIGNMENT[built.alignment], _GUESSED_WIDTH, can_merge=built.merges)
    whole = table.live_rows
    field = field_of(expression, column, rows)
    if field is not None:
        return _field(built, field, is_whole=definition.where is None)
    attribute = Attribute(
        built.length,
        _ALIGNMENT[built.alignment],
        stats.avg_width,
        stats.null_frac,
        max(min(max(stats.distinct(whole), least.get(column.name, 1.0)), rows), 1.0),
        stats.most_common_freqs or (),
        _widths(column.base, stats) if expression is None else (),
        built.merges,
        _unlisted(stats, whole, least.get(column.name, 1.0), target),
    )
    return attribute if definition.where is None else _in_part(attribute, column, definition.where, rows, whole)


def _in_part(attribute: Attribute, column: Column, where: str, rows: float, whole: float) -> Attribute:
    """The same over the rows of a partial index, which are a sample of the table's unless it asks for this column."""
    present = 1 - attribute.null_frac
    if _is_fixed(column, where):
        return replace(attribute, null_frac=0.0, distinct=1.0, common=(), rest=())
    if column.name not in words_of(where):
        return replace(attribute, distinct=max(occurring(attribute.values(whole), rows), 1.0))
    if present and re.fullmatch(rf'[("]*{re.escape(column.name)}"?\s+is\s+not\s+null\)*', where, re.IGNORECASE):
        common = tuple(share / present for share in attribute.common)
        rest = tuple(Group(number, share / present) for number, share in attribute.rest)
        return replace(attribute, null_frac=0.0, common=common, rest=rest)
    distinct = max(attribute.distinct * -math.expm1(-rows / attribute.distinct), 1.0)
    return replace(attribute, null_frac=0.0, distinct=distinct, common=(), rest=())


@functools.lru_cache(maxsize=4096)
def _unlisted(stats: ColumnStatistics, whole: float, least: float, target: int) -> tuple[Group, ...]:
    """The values that ANALYZE has not listed; `least` is how many there are known to be, listed ones included."""
    present = 1 - stats.null_frac
    if present * whole < 1:
        return ()
    common, bounds = tuple(share / present for share in stats.most_common_freqs or ()), len(stats.bounds) - 1
    distinct = stats.distinct(whole)
    if least > distinct:
        found = even(whole * present, least - len(common), 1 - sum(common))
    else:
        # A column may have a target of its own: as many common values as the histogram has parts are a full list.
        is_own = len(common) == bounds
        sampled = float(ROWS_A_TARGET * (bounds if is_own else max(target, bounds)))
        is_cut = is_own or len(common) >= target
        found = unlisted(common, distinct, whole * present, sampled * present, is_cut=is_cut)
    return tuple(Group(number, share * present) for number, share in found)


def _field(built: BuiltColumn, field: Field, *, is_whole: bool) -> Attribute:
    return Attribute(
        built.length,
        _ALIGNMENT[built.alignment],
        sum(field.widths) / len(field.widths),
        field.null_frac if is_whole else 0.0,
        field.distinct,
        field.common if is_whole else (),
        field.widths,
        built.merges,
    )


def _is_fixed(column: Column, where: str) -> bool:
    return re.search(rf'(?<![\w"]){re.escape(column.name)}"?\s*=\s', where) is not None


def _mentioned(table: Table, expression: str | None) -> Column | None:
    words = set(re.findall(r"\w+", expression or ""))
    return next((column for column in table.columns if column.name in words), None)


@functools.lru_cache(maxsize=4096)
def _widths(base: str, stats: ColumnStatistics) -> tuple[int, ...]:
    """Of a sample of the values, with their header of one byte; texts shifted so that the average is right."""
    if base not in (*_TEXTUAL, "numeric"):
        return ()
    values = [value for value in array_items(stats.histogram_bounds) if value is not None]
    values = values or [value for value in array_items(stats.most_common_vals) if value is not None]
    if not values:
        return ()
    step = max(len(values) // _SAMPLE, 1)
    if base == "numeric":
        return tuple(_numeric_bytes(value) for value in values[::step])
    lengths = [len(value.encode()) + (1 if len(value.encode()) < 127 else 4) for value in values[::step]]
    shift = stats.avg_width - sum(lengths) / len(lengths)
    # The average is kept without its fraction.
    moved = round(shift) if abs(shift) > 1 else 0
    return tuple(max(length + moved, 1) for length in lengths)


def _numeric_bytes(text: str) -> int:
    """A header of one byte, two of sign and weight, and two for each four decimal digits that are not all zero."""
    whole, _, fraction = text.lstrip("-").partition(".")
    if not whole.isdigit():
        return 3
    padded = whole.zfill(-(-len(whole) // 4) * 4) + fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [padded[place : place + 4] != "0000" for place in range(0, len(padded), 4)]
    used = [place for place, one in enumerate(groups) if one]
    return 3 + 2 * (used[-1] - used[0] + 1) if used else 3


def _combinations(source: Source, table: Table, definition: IndexDefinition) -> float | None:
    """Distinct combinations of the keys, where extended statistics have counted them, or all go on with the rows."""
    names = {key.column for key in definition.keys}
    if definition.where is not None or None in names or len(names) < 2:
        return None
    counted = next((count for columns, count in _counted(source, table) if columns == names), None)
    stats = [column.stats for name in names if name is not None and (column := table.column(name)) is not None]
    if counted is None and all(one is not None and abs(one.correlation or 0.0) >= _IN_ORDER for one in stats):
        # From one row to the next there is a new combination only where one of them has its next value.
        return min(sum(one.distinct(table.live_rows) for one in stats if one is not None), table.live_rows)
    return counted


def _counted(source: Source, table: Table) -> Iterator[tuple[set[str | None], float]]:
    numbers = {column.number: column.name for column in table.columns}
    for one in source.extended:
        if (one.table_schema, one.table) == (table.schema, table.name):
            for key, count in counted(one.distinct):
                yield {numbers.get(int(number)) for number in key.split(",")}, count


def _gin(table: Table, definition: IndexDefinition, keys: Sequence[Attribute], rows: float) -> Size:
    """All columns lie in one tree, each entry with its column's number where there are several."""
    number, pages = 4.0 if len(keys) > 1 else 0.0, 0
    for key, attribute in zip(definition.keys, keys, strict=True):
        column = table.column(key.column) if key.column is not None else _mentioned(table, key.expression)
        base = column.base if column is not None else ""
        found = elements(attribute, column.stats if column is not None else None, base, key, rows)
        pages += gin(rows, table.pages, found.groups, found.width + number).pages
    return Size(pages)
