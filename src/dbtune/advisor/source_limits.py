"""What no server could have said of itself: made-up figures of a dump would fill disks, or keep dbtune busy forever."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime

from dbtune.advisor.arrays import counted
from dbtune.advisor.source import ColumnStatistics, Counters, Index, Source, Table

MOST_PAGES = 2**31 - 1
"""Of a relation that pg_class.relpages can count: 16 TB."""
MOST_ROWS_PER_PAGE = 100_000.0
"""A heap has 291 at most; other table access methods pack closer."""
MOST_WIDTH = 1 << 30
_SHARES = ("most_common_freqs", "most_common_elem_freqs")


def implausible(source: Source) -> Iterator[str]:
    """Places such as `tables.0.pages`."""
    if not _is_moment(source.taken_at):
        yield "taken_at"
    if source.statistics_since is not None and not _is_moment(source.statistics_since):
        yield "statistics_since"
    for number, table in enumerate(source.tables):
        yield from (f"tables.{number}.{place}" for place in _of_table(table))
    for number, index in enumerate(source.indexes):
        yield from (f"indexes.{number}.{place}" for place in _of_index(index))
    for number, one in enumerate(source.extended):
        for name in ("distinct", "dependencies"):
            if not _is_counted(getattr(one, name)):
                yield f"extended.{number}.{name}"
    for number, statement in enumerate(source.statements):
        if not (statement.calls >= 0 and 0 <= statement.total_time_s < math.inf and statement.rows >= 0):
            yield f"statements.{number}"


def _of_table(table: Table) -> Iterator[str]:
    yield from _of_sizes(table)
    if not 0 <= table.visible_pages <= MOST_PAGES:
        yield "visible_pages"
    if table.counters is not None and not _is_counters(table.counters):
        yield "counters"
    for number, column in enumerate(table.columns):
        if not (column.length in (-2, -1) or 0 < column.length <= MOST_WIDTH):
            yield f"columns.{number}.length"
        yield from (f"columns.{number}.statistics.{place}" for place in _of_statistics(column.statistics))


def _of_index(index: Index) -> Iterator[str]:
    yield from _of_sizes(index)
    yield from (f"statistics.{place}" for place in _of_statistics(index.statistics))
    for number, key in enumerate(index.keys):
        if (key.column is None) == (key.expression is None):
            yield f"keys.{number}"


def _of_sizes(one: Table | Index) -> Iterator[str]:
    # -1 says that nobody has counted, or that there is no file.
    for name, least in (("pages", 0), ("relpages", -1)):
        if not least <= getattr(one, name) <= MOST_PAGES:
            yield name
    pages = max(one.pages, one.relpages, 1) if one.kind in ("r", "m") else MOST_PAGES
    if not -1 <= one.rows <= pages * MOST_ROWS_PER_PAGE:
        yield "rows"


def _of_statistics(found: tuple[ColumnStatistics, ...]) -> Iterator[str]:
    for number, one in enumerate(found):
        if not 0 <= one.null_frac <= 1:
            yield f"{number}.null_frac"
        if not 0 <= one.avg_width <= MOST_WIDTH:
            yield f"{number}.avg_width"
        if not -1 <= one.n_distinct < math.inf:
            yield f"{number}.n_distinct"
        for name in _SHARES:
            if not all(0 <= share < math.inf for share in getattr(one, name) or ()):
                yield f"{number}.{name}"
        if not all(0 <= count < math.inf for count in one.elem_count_histogram or ()):
            yield f"{number}.elem_count_histogram"


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_counters(counters: Counters) -> bool:
    values = (getattr(counters, field.name) for field in fields(counters))
    return all(value >= 0 for value in values if isinstance(value, int))


def _is_counted(text: str | None) -> bool:
    try:
        return all(0 <= count < math.inf and _are_numbers(key) for key, count in counted(text))
    except ValueError:
        return False


def _are_numbers(key: str) -> bool:
    for word in key.replace("=>", ",").split(","):
        int(word)
    return True
