"""How large an index would be once built, and how high: PostgreSQL's own arithmetic, on the planner's statistics.

Figures are those of nbtsort.c, nbtdedup.c and hashpage.c (PostgreSQL 13 to 18, blocks of 8 kB). B-trees are reckoned
tuple by tuple; GiST and SP-GiST roughly.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dbtune.advisor.spread import Group, even, runs, together

BLOCK = 8192
_LINE_POINTER = 4
_TID = 6
_USABLE = BLOCK - 24 - 16 - 2 * _LINE_POINTER
"""A page without header, special space, the high key's line pointer and the one that PageGetFreeSpace sets aside."""
_LONGEST_POSTING = (BLOCK // 10) // 8 * 8 - _LINE_POINTER
"""maxpostingsize of a build."""
_NULL_TUPLE = 16.0
"""A tuple of nulls alone: its header and their bitmap, aligned."""
_MOST_COMBINATIONS = 2000
_INNER_FILL = 70
LEAF_FILL = 90


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of an index. `distinct` counts values, `common` are the shares of the most common ones.

    `rest` are the others, all as frequent without it. `widths` are those of a sample of values, where it is known;
    `can_merge` says that equal values are the same bytes.
    """

    length: int
    alignment: int
    width: float
    null_frac: float = 0.0
    distinct: float = 200.0
    common: tuple[float, ...] = ()
    widths: tuple[int, ...] = ()
    can_merge: bool = True
    rest: tuple[Group, ...] = ()

    def values(self, rows: float) -> tuple[Group, ...]:
        """Those that are not NULL, of so many rows."""
        left = 1 - sum(self.common) - self.null_frac
        rest = self.rest or even(rows, max(self.distinct - len(self.common), 1.0), max(left, 0.0))
        return (*(Group(1.0, share) for share in self.common), *rest)


@dataclass(frozen=True, slots=True)
class Size:
    """`pages` with the metapage; `height` counts the levels above the leaves (B-tree only)."""

    pages: int
    height: int = 0

    @property
    def size_bytes(self) -> int:
        return self.pages * BLOCK


def btree(
    rows: float,
    keys: Sequence[Attribute],
    include: Sequence[Attribute] = (),
    *,
    unique: bool = False,
    distinct: float | None = None,
    fill: int = LEAF_FILL,
    deduplicate: bool = True,
) -> Size:
    """`distinct` combinations of the keys, where somebody has counted them; else the keys are taken as independent."""
    if rows < 1:
        return Size(1)
    attributes = [*keys, *include]
    size = _tuple_bytes(attributes)
    merges = deduplicate and not unique and not include and all(key.can_merge for key in keys)
    if merges:
        count, total, extra = _merged(rows, keys, size, distinct)
    else:
        count, total, extra = rows, rows * (size + _LINE_POINTER), 0.0
    each = total / count
    # A page is full at its fill factor, or when the next tuple does not fit; its last tuple moves to the next page.
    kept_free = max(BLOCK * (100 - fill) // 100 - extra, each + 4)
    per_page = (_USABLE - kept_free) / each
    if not merges and all(attribute.length > 0 or len(set(attribute.widths)) == 1 for attribute in attributes):
        per_page = math.floor(per_page)
    else:
        per_page -= 0.5
    leaves = max(math.ceil(count / max(per_page, 1.0)), 1)
    return _with_levels(leaves, _pivot_bytes(count, keys))


def height_of(pages: int, keys: Sequence[Attribute], rows: float) -> int:
    """The height of an existing B-tree of so many pages."""
    if pages <= 2:
        return 0
    leaves, pivot = pages - 1, _pivot_bytes(max(rows, 1.0), keys)
    # Not all of its pages are leaves.
    while leaves > 1 and _with_levels(leaves, pivot).pages > pages:
        leaves -= max((_with_levels(leaves, pivot).pages - pages), 1)
    return _with_levels(max(leaves, 1), pivot).height


def hash_index(rows: float, key: Attribute) -> Size:
    """Buckets for 75 % full pages of 20 bytes a row, rounded as _hash_spareindex does, and overflow of common keys."""
    wanted = max(math.ceil(rows / 307), 2)
    power = math.ceil(math.log2(wanted))
    buckets = 2**power
    if power >= 10:
        quarter = 2 ** (power - 1) // 4
        buckets = 2 ** (power - 1) + math.ceil((wanted - 2 ** (power - 1)) / quarter) * quarter
    per_page = (BLOCK - 24 - 16) // 20
    load = rows / buckets
    overflow = sum(max((share * rows) / per_page - 0.5, 0.0) for share in key.common)
    rest = max(1.0 - sum(key.common) - key.null_frac, 0.0)
    others = max(key.distinct - len(key.common), 1.0)
    run = rest * rows / others
    if run > per_page:
        overflow += others * (run / per_page - 0.5)
    elif load > per_page - 3 * math.sqrt(load * max(run, 1.0)):
        overflow += buckets * 0.1
    return Size(math.ceil(buckets + overflow) + 2 + math.ceil(overflow / 32768))


def gist(rows: float, attributes: Sequence[Attribute], fill: float) -> Size:
    """GiST and SP-GiST; `fill` is the share of a page that a build fills."""
    each = _tuple_bytes(attributes) + _LINE_POINTER
    return Size(1 + math.ceil(rows * each / (BLOCK * fill)))


def brin(heap_pages: int, attributes: Sequence[Attribute], pages_per_range: int = 128) -> Size:
    """A tuple for each range of the table's pages, holding a minimum and a maximum."""
    ranges = max(math.ceil(heap_pages / pages_per_range), 1)
    each = _aligned(8 + 2 * sum(attribute.width for attribute in attributes)) + _LINE_POINTER
    return Size(2 + math.ceil(ranges * each / 8152) + ranges // 1360)


def _tuple_bytes(attributes: Sequence[Attribute]) -> float:
    """The mean length of an index tuple, aligned, over tuples with and without nulls."""
    nulls = 1 - math.prod(1 - attribute.null_frac for attribute in attributes)
    whole = _data_bytes(8, attributes)
    if nulls == 0:
        return whole
    # A bitmap of nulls takes 4 bytes, and what is null takes none.
    present = [attribute for attribute in attributes if attribute.null_frac < 0.5]
    return (1 - nulls) * whole + nulls * max(_data_bytes(16, present), _NULL_TUPLE)


def _data_bytes(start: int, attributes: Sequence[Attribute]) -> float:
    varying = [attribute for attribute in attributes if attribute.length < 0]
    if not varying:
        return _laid_out(start, attributes, ())
    spreads = [Counter(attribute.widths) for attribute in varying]
    if all(spreads) and math.prod(map(len, spreads)) <= _MOST_COMBINATIONS:
        # Every combination of their widths, as often as it comes.
        total = weights = 0.0
        for combination in itertools.product(*(spread.items() for spread in spreads)):
            weight = math.prod(count for _, count in combination)
            total += weight * _laid_out(start, attributes, [width for width, _ in combination])
            weights += weight
        return total / weights
    means = [attribute.width for attribute in varying]
    return sum(_laid_out(start, attributes, means, shift) for shift in range(8)) / 8


def _laid_out(start: int, attributes: Sequence[Attribute], widths: Sequence[float], shift: int | None = None) -> float:
    """One tuple; `widths` are those of the varying columns, `shift` spreads where the end of the tuple falls."""
    at, varying = float(start), iter(widths)
    for attribute in attributes:
        length = attribute.length if attribute.length > 0 else next(varying)
        # Short values have a header of one byte and no alignment.
        if attribute.length > 0 or length > 126:
            at = _aligned(at, attribute.alignment)
        at += length
    return _aligned(at) if shift is None else _aligned(at + shift - 3.5)


def _merged(rows: float, keys: Sequence[Attribute], base: float, distinct: float | None) -> tuple[float, float, float]:
    """Tuples, bytes with their line pointers, and what a posting list adds to a tuple, on average."""
    tuples = total = extra = 0.0
    for group, each in _groups(rows, keys, base, distinct):
        for likely, run in runs(group.share * rows):
            count, size = _run_bytes(run, each)
            tuples += group.number * likely * count
            total += group.number * likely * size
            extra += group.number * likely * (size - count * (each + _LINE_POINTER))
    if tuples < 1:
        # Fewer rows than the statistics know values of: the table has shrunk since.
        return rows, rows * (base + _LINE_POINTER), 0.0
    return tuples, total, extra / tuples


def _groups(
    rows: float, keys: Sequence[Attribute], base: float, distinct: float | None
) -> Iterable[tuple[Group, float]]:
    """Keys with the bytes of a tuple: the nulls of a single key take none of its bytes; those of several are a value
    as any other.
    """
    if distinct is not None:
        return ((group, base) for group in even(rows, distinct))
    first, *others = keys
    if not others:
        plain = _data_bytes(8, keys)
        nulls = [(Group(1.0, first.null_frac), _NULL_TUPLE)] if first.null_frac * rows >= 1 else []
        return (*nulls, *((group, plain) for group in first.values(rows)))
    found: tuple[Group, ...] = (Group(1.0, 1.0),)
    for key in keys:
        null = (Group(1.0, key.null_frac),) if key.null_frac else ()
        found = together((*null, *key.values(rows)), found, rows)
    return ((group, base) for group in found)


def _run_bytes(run: float, base: float) -> tuple[float, float]:
    """Tuples and bytes that `run` rows of one key take: posting lists as long as may be, and what is left."""
    most = max(int((_LONGEST_POSTING // 8 * 8 - base) // _TID), 1)
    if run < 2:
        return run, run * (base + _LINE_POINTER)
    full, left = divmod(run, most)
    size = full * (_aligned(base + most * _TID) + _LINE_POINTER)
    if left >= 2:
        return full + 1, size + _aligned(base + left * _TID) + _LINE_POINTER
    return full + left, size + left * (base + _LINE_POINTER)


def _combinations(rows: float, keys: Sequence[Attribute]) -> float:
    """How many combinations of independent columns occur among so many rows."""
    possible = math.prod(max(min(key.distinct + (key.null_frac > 0), rows), 1.0) for key in keys)
    if len(keys) == 1 or possible > rows * 1e6:
        return min(possible, rows)
    return max(possible * -math.expm1(-rows / possible), 1.0)


def _pivot_bytes(tuples: float, keys: Sequence[Attribute]) -> float:
    """A key of the upper levels: as many columns as tell two neighbouring tuples apart, else their address as well."""
    total = told_apart = 0.0
    for length in range(1, len(keys) + 1):
        share = max(min(_combinations(tuples, keys[:length]) / tuples, 1.0), told_apart)
        total += (share - told_apart) * _tuple_bytes(keys[:length])
        told_apart = share
    return total + (1 - told_apart) * (_tuple_bytes(keys) + 8) + _LINE_POINTER


def _with_levels(leaves: int, pivot: float) -> Size:
    fan_out = max(1 + math.floor((_USABLE - BLOCK * (100 - _INNER_FILL) // 100 - 12) / pivot), 2)
    pages, level, height = leaves, leaves, 0
    while level > 1:
        level = math.ceil(level / fan_out)
        pages += level
        height += 1
    return Size(pages + 1, height)


def _aligned(at: float, to: int = 8) -> float:
    return math.ceil(at / to) * to
