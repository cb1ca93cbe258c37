"""How large a GIN index is as CREATE INDEX leaves it: each element once, with its rows as compressed lists.

The rules are those of ginpostinglist.c, gindatapage.c and ginentrypage.c. The list of pending entries is empty then.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

from dbtune.advisor.index_size import BLOCK, Size
from dbtune.advisor.spread import Group, runs

_LINE_POINTER = 4
_HEADER = 8
"""Of an index tuple, and of a posting list: its first row and its length."""
_LONGEST_TUPLE = 2712
"""GinMaxItemSize: what is longer gets a tree of its own."""
_SEGMENT = 256
_TREE_PAGE = BLOCK - 24 - 8 - 8
_ENTRY_PAGE = BLOCK - 24 - 8
_OFFSET_BITS = 11
_BITS_A_BYTE = 7
_LONGEST_NUMBER = 6
_IN_MEMORY = 64 << 20
"""maintenance_work_mem, as it is where nobody has changed it: what is more is entered in several rounds."""
_NODE, _ROW = 110, 9
"""Bytes there: of an element with its node of the tree, and of each of its rows, whose array doubles."""
_ORDERED_FILL, _MIXED_FILL = 0.5, 0.7
"""Elements entered in their order leave each page half full; later rounds fill the gaps as chance does (ln 2)."""


def gin(rows: float, heap_pages: float, elements: Iterable[Group], width: float) -> Size:
    """`elements` are those of one column, each in a `share` of the rows; `width` their bytes, aligned as they lie."""
    key = _aligned(_HEADER + width)
    entries = leaf_bytes = tree_pages = listed = 0.0
    for group in elements:
        for likely, run in runs(group.share * rows):
            number = group.number * likely
            inline, pages = _posting(key, min(run, rows), max(heap_pages, 1.0), rows)
            entries += number
            listed += number * run
            leaf_bytes += number * (inline + _LINE_POINTER)
            tree_pages += number * pages
    if not entries:
        return Size(2)
    rounds = (entries * (_NODE + width) + listed * _ROW) / _IN_MEMORY
    fill = _ORDERED_FILL if rounds <= 1 else _MIXED_FILL
    # What stands across the middle of a page stays in its first half.
    leaves = leaf_bytes / min(_ENTRY_PAGE * fill + leaf_bytes / entries / 2, _ENTRY_PAGE)
    return Size(2 + math.ceil(leaves * (1 + (key + _LINE_POINTER) / (_ENTRY_PAGE * fill)) + tree_pages))


@functools.lru_cache(maxsize=4096)
def _posting(key: float, run: float, heap_pages: float, rows: float) -> tuple[float, float]:
    """Bytes of the element's tuple, and pages of its posting tree."""
    packed = (run - 1) * _bytes_each(run, heap_pages, rows)
    inline = _aligned(key + _HEADER + packed)
    if inline <= _LONGEST_TUPLE:
        return inline, 0.0
    whole = packed * (1 + _HEADER / _SEGMENT)
    pages = math.ceil(whole / _TREE_PAGE)
    return key, pages + (pages > 1)


def _bytes_each(run: float, heap_pages: float, rows: float) -> float:
    """Of a row's distance to the one before: seven bits a byte, of which the place within a page takes eleven.

    The rows lie scattered: the distance in pages is exponential.
    """
    between, per_page = heap_pages / run, max(rows / heap_pages, 1.0)
    total = before = 0.0
    for size in range(1, _LONGEST_NUMBER + 1):
        reach = 2.0 ** (_BITS_A_BYTE * size)
        if reach <= per_page:
            within = -math.expm1(-reach / per_page / between)
        elif reach < 2**_OFFSET_BITS:
            # On the same page, of which half lies behind the row before, on average.
            within = 1 + between * math.expm1(-1 / between)
        else:
            within = -math.expm1(-reach / 2**_OFFSET_BITS / between)
        total += size * max(within - before, 0.0)
        before = max(within, before)
    return total + _LONGEST_NUMBER * (1 - before)


def _aligned(at: float) -> float:
    return math.ceil(at / 8) * 8
