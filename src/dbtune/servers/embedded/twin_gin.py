"""What a GIN index would hold: its elements, and how many rows have each.

From what ANALYZE counted in arrays and texts, and from the values that it kept as a histogram.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dbtune.advisor.arrays import array_items
from dbtune.advisor.index import IndexKey
from dbtune.advisor.index_size import Attribute
from dbtune.advisor.source import ColumnStatistics
from dbtune.advisor.spread import Group, even, falling, occurring, unlisted

_MOST_DEPTH = 50
_GUESSED = 10_000.0
"""Different elements, where nothing is known."""
_SEEN = 3
"""Times that an element comes in a sample before its share counts."""
_WIDTHS = {"_int2": 2.0, "_int4": 4.0, "_int8": 8.0, "_uuid": 16.0, "_float8": 8.0, "_timestamptz": 8.0}
_LEXEME = 4 + 1 + 2 + 2
"""Of a tsvector, beside the letters: WordEntry, alignment, the number of places and one of them."""
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)')

Items = Callable[[str], set[tuple[str, str]]]
"""The elements of a value as the sample shows it: where they stand, and what they are."""


@dataclass(frozen=True, slots=True)
class Elements:
    """`width` bytes of one; each of `groups` is in a share of all rows."""

    groups: tuple[Group, ...]
    width: float

    @property
    def each(self) -> float:
        """How many a row has, on average."""
        return sum(one.number * one.share for one in self.groups)

    def distinct(self, rows: float) -> float:
        return occurring(self.groups, rows)


def elements(attribute: Attribute, stats: ColumnStatistics | None, base: str, key: IndexKey, rows: float) -> Elements:
    """Rows that are NULL have an element that says so."""
    found = _present(attribute, stats, base, key, max(rows * (1 - attribute.null_frac), 1.0))
    present = 1 - attribute.null_frac
    nulls = (Group(1.0, attribute.null_frac),) if attribute.null_frac else ()
    return Elements((*nulls, *(Group(number, share * present) for number, share in found.groups)), found.width)


def _present(attribute: Attribute, stats: ColumnStatistics | None, base: str, key: IndexKey, rows: float) -> Elements:
    opclass, expression = key.opclass or "", key.expression or ""
    if "trgm" in opclass:
        return _sampled(stats, _trigrams, 4.0, rows) or _guessed(attribute.width + 1, 4.0, rows)
    if "to_tsvector" in expression and base != "tsvector":
        return _sampled(stats, _words, None, rows) or _guessed(attribute.width / 6, 7.0, rows)
    if stats is not None and stats.most_common_elem_freqs and (base.startswith("_") or base == "tsvector"):
        return _counted(stats, base, rows)
    if base == "jsonb":
        items, width = (_paths, 4.0) if "path" in opclass else (_names_and_values, None)
        return _sampled(stats, items, width, rows) or _guessed(attribute.width / 12, 12.0, rows)
    if base == "hstore":
        return _sampled(stats, _pairs, None, rows) or _guessed(attribute.width / 12, 8.0, rows)
    if base.startswith("_") or base == "tsvector":
        return _guessed(attribute.width / 12, 8.0, rows)
    # A plain column, as btree_gin has it.
    present = 1 - attribute.null_frac
    values = attribute.values(rows / max(present, 1e-9))
    return Elements(tuple(Group(number, share / max(present, 1e-9)) for number, share in values), attribute.width)


def _guessed(each: float, width: float, rows: float) -> Elements:
    each = max(each, 1.0)
    return Elements(_scaled(even(rows * each, min(rows, _GUESSED)), each), width)


def _scaled(groups: Sequence[Group], each: float) -> tuple[Group, ...]:
    """Of shares of all elements, shares of the rows."""
    return tuple(Group(number, min(share * each, 1.0)) for number, share in groups)


@functools.lru_cache(maxsize=256)
def _counted(stats: ColumnStatistics, base: str, rows: float) -> Elements:
    """What is not among the most common elements goes on from the rarest of them, as steeply as those fall."""
    items = _listed(stats)
    # Behind the frequencies stand their least and greatest, and that of nulls.
    common = sorted((share for share in (stats.most_common_elem_freqs or ())[: len(items)] if share > 0), reverse=True)
    counts = stats.elem_count_histogram
    each = counts[-1] if counts else lexemes(stats)
    width = _WIDTHS.get(base, _letters(items) + 1)
    if not common:
        return _guessed(each, width, rows)
    listed, left = tuple(Group(1.0, share) for share in common), each - sum(common)
    if left * rows < 1:
        return Elements(listed, width)
    before = len(common) // 4
    steepness = _steepness(common[before], common[-1], len(common) / (before + 1))
    return Elements((*listed, *falling(len(common), common[-1], left, rows, steepness)), width)


def lexemes(stats: ColumnStatistics) -> float:
    """How many a tsvector has, on average: their letters are those of the most common ones."""
    return max((stats.avg_width - 8) / (_LEXEME + _letters(_listed(stats))), 1.0)


def _listed(stats: ColumnStatistics) -> list[str]:
    return [one for one in array_items(stats.most_common_elems) if one is not None]


def _letters(items: Sequence[str]) -> float:
    return sum(len(one.encode()) for one in items) / max(len(items), 1)


def _steepness(first: float, last: float, ranks: float) -> float:
    return math.log(first / last) / math.log(ranks) if ranks > 1 else 0.0


@functools.lru_cache(maxsize=256)
def _sampled(stats: ColumnStatistics | None, items: Items, width: float | None, rows: float) -> Elements | None:
    """By the values that ANALYZE kept; None where there are none."""
    sample = [] if stats is None else [text for text in _values(stats) if text is not None]
    seen: dict[str, Counter[str]] = {}
    try:
        for text in sample:
            for place, item in items(text):
                seen.setdefault(place, Counter())[item] += 1
    except (ValueError, RecursionError):
        return None
    if not seen:
        return None
    groups = tuple(group for found in seen.values() for group in _shares(found, len(sample), rows))
    kinds = [item for found in seen.values() for item in found]
    return Elements(groups, width or sum(len(item.encode()) for item in kinds) / len(kinds) + 1)


def _shares(found: Counter[str], sampled: int, rows: float) -> tuple[Group, ...]:
    """What one place of so many sampled rows holds, in all rows."""
    each = found.total() / sampled
    distinct = distinct_values(found, rows / sampled)
    common = tuple(sorted((n / found.total() for n in found.values() if n >= _SEEN), reverse=True))
    rest = unlisted(common, distinct, rows * each, float(found.total()), is_cut=False)
    return _scaled((*(Group(1.0, share) for share in common), *rest), each)


def _values(stats: ColumnStatistics) -> Iterator[str | None]:
    yield from stats.bounds
    yield from (value for value, _ in stats.common)


def documents(stats: ColumnStatistics) -> Iterator[object]:
    """Those jsonb values of a column that ANALYZE kept."""
    for text in _values(stats):
        if text is not None:
            try:
                yield json.loads(text)
            except (ValueError, RecursionError):
                return


def distinct_values(found: Counter[str], scale: float) -> float:
    """How many there are in `scale` times as many values as this sample has (Haas and Stokes, Duj1).

    Whole numbers are no more than fit between the least and the greatest.
    """
    total, once = found.total(), sum(number == 1 for number in found.values())
    met_again = 1 - (1 - min(1 / scale, 1.0)) * once / total
    distinct = total * max(scale, 1.0) if once == total else len(found) / met_again
    if total > 1 and all(len(text) < 19 and text.lstrip("-").isdecimal() for text in found):
        numbers = [int(text) for text in found]
        distinct = min(distinct, (max(numbers) - min(numbers)) * (total + 1) / (total - 1) + 1)
    return max(distinct, float(len(found)))


def _trigrams(text: str) -> set[tuple[str, str]]:
    """As pg_trgm makes them: of each word in lower case, two blanks before it and one behind."""
    words = (f"  {word} " for word in re.findall(r"[^\W_]+", text.lower()))
    return {("", word[at : at + 3]) for word in words for at in range(len(word) - 2)}


def _words(text: str) -> set[tuple[str, str]]:
    return {("", word) for word in re.findall(r"\w+", text.lower())}


def _pairs(text: str) -> set[tuple[str, str]]:
    found = _PAIR.findall(text)
    return {("key", f"K{name}") for name, _ in found} | {("value", f"V{value}") for _, value in found}


def _paths(text: str) -> set[tuple[str, str]]:
    return {(path, value) for path, _, value in _leaves(json.loads(text))}


def _names_and_values(text: str) -> set[tuple[str, str]]:
    """Keys are elements too; texts in an array count as such."""
    return {(path, value) for path, _, value in _leaves(json.loads(text))} | {
        ("", f"K{name}") for _, names, _ in _leaves(json.loads(text)) for name in names
    }


def _leaves(document: object) -> Iterator[tuple[str, Sequence[str], str]]:
    """Each value of a document with the keys that lead to it, in one and each by itself."""
    waiting: list[tuple[object, tuple[str, ...], int]] = [(document, (), 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            continue
        if isinstance(value, dict):
            waiting += [(inner, (*path, key), depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, path, depth + 1) for inner in value]
        else:
            yield "/".join(path), path, str(value)
