"""How many elements a GIN index would hold, and how many of them differ.

From what ANALYZE counted in arrays and texts, and from the documents that it kept as a histogram.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dbtune.advisor.arrays import array_items
from dbtune.advisor.index_size import Attribute
from dbtune.advisor.source import ColumnStatistics

_MOST_TRIGRAMS = 40_000.0
_MOST_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Elements:
    """`each` a row, `distinct` in all, `width` bytes of one."""

    each: float
    distinct: float
    width: float


def elements(attribute: Attribute, stats: ColumnStatistics | None, base: str, opclass: str, rows: float) -> Elements:
    if "trgm" in opclass:
        return Elements(attribute.width + 1, min(_MOST_TRIGRAMS, rows * attribute.width), 4.0)
    if stats is not None and stats.elem_count_histogram:
        return _counted(stats, stats.elem_count_histogram[-1], rows)
    sample = list(documents(stats)) if stats is not None and base == "jsonb" else []
    if sample:
        return _sampled(sample, rows, paths="path" in opclass)
    # A document that comes again brings nothing new.
    each = max(attribute.width / 12, 1.0)
    return Elements(each, min(rows, 10_000.0, attribute.distinct * each), 12.0)


def _counted(stats: ColumnStatistics, each: float, rows: float) -> Elements:
    """What is not among the most common elements is rarer than the rarest of them."""
    # Behind the frequencies stand their least and greatest, and that of nulls.
    number = len(array_items(stats.most_common_elems))
    common = [share for share in (stats.most_common_elem_freqs or ())[:number] if share > 0]
    if not common:
        return Elements(each, min(rows * each, 1000.0), 8.0)
    rest = max(each - sum(common), 0.0)
    distinct = len(common) + rest / min(common)
    return Elements(each, min(distinct, rows * each), 8.0)


def documents(stats: ColumnStatistics) -> Iterator[object]:
    """Those jsonb values of a column that ANALYZE kept."""
    for text in (*stats.bounds, *(value for value, _ in stats.common)):
        if text is not None:
            try:
                yield json.loads(text)
            except (ValueError, RecursionError):
                return


def _sampled(sample: list[object], rows: float, *, paths: bool) -> Elements:
    """Distinct values path by path (the estimator of Haas and Stokes, Duj1, as ANALYZE has it for columns)."""
    seen: dict[str, Counter[str]] = {}
    for document in sample:
        for path, value in set(_leaves(document)):
            seen.setdefault(path, Counter())[value] += 1
    values = [value for found in seen.values() for value in found]
    if not values:
        return Elements(1.0, 1.0, 4.0)
    each = sum(found.total() for found in seen.values()) / len(sample)
    distinct = sum(distinct_values(found, rows / len(sample)) for found in seen.values())
    if paths:
        return Elements(each, distinct, 4.0)
    # Keys are elements too.
    width = sum(len(value.encode()) for value in values) / len(values) + 1
    return Elements(2 * each, distinct + len(seen), width)


def distinct_values(found: Counter[str], scale: float) -> float:
    """How many there are in `scale` times as many values as this sample has."""
    total, once = found.total(), sum(number == 1 for number in found.values())
    if once == total:
        return total * max(scale, 1.0)
    return len(found) / (1 - (1 - min(1 / scale, 1.0)) * once / total)


def _leaves(document: object) -> Iterator[tuple[str, str]]:
    """Each value of a document with the keys that lead to it."""
    waiting: list[tuple[object, str, int]] = [(document, "", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            continue
        if isinstance(value, dict):
            waiting += [(inner, f"{path}/{key}", depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, path, depth + 1) for inner in value]
        else:
            yield path, str(value)
