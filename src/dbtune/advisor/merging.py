"""Further candidates from those that plans use: one index that does the work of two, and narrower ones.

Index merging as in Chaudhuri and Narasayya, ICDE 1999: the keys of one, then what the other has more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbtune.advisor.index import IndexDefinition, IndexKey

MOST = 240
"""Each is one more index for the planner to look at."""
MOST_COLUMNS = 8
"""Keys and INCLUDE together; a wider index is a copy of its table."""


def relatives(used: Iterable[IndexDefinition]) -> list[IndexDefinition]:
    """What could take the place of one or two of these: none of them, each once, in a fixed order."""
    given = sorted(set(used))
    found = dict.fromkeys(itertools.chain(*map(_narrower, given), *itertools.starmap(_merged, _pairs(given))))
    return [one for one in found if one not in set(given)][:MOST]


def _narrower(index: IndexDefinition) -> Iterator[IndexDefinition]:
    if index.method != "btree":
        return
    if index.include:
        yield replace(index, include=())
    if len(index.keys) > 1:
        yield replace(index, keys=index.keys[:-1], include=())
    if index.where is not None:
        yield replace(index, where=None)


def _pairs(given: Iterable[IndexDefinition]) -> Iterator[tuple[IndexDefinition, IndexDefinition]]:
    for one, other in itertools.permutations(given, 2):
        same_place = (one.schema, one.table, one.method, one.where) == (
            other.schema, other.table, other.method, other.where,
        )  # fmt: skip
        if same_place and one.method == "btree" and not one.unique and one.keys[0].text == other.keys[0].text:
            yield one, other


def _merged(one: IndexDefinition, other: IndexDefinition) -> Iterator[IndexDefinition]:
    """The keys of one in front; what the other has more becomes keys, or is only carried along."""
    have = {key.text for key in one.keys}
    more = tuple(key for key in other.keys if key.text not in have)
    carried = _carried((*one.include, *other.include), (*one.keys, *more))
    if len(one.keys) + len(more) + len(carried) <= MOST_COLUMNS:
        yield replace(one, keys=(*one.keys, *more), include=carried)
    columns = tuple(key.column for key in more if key.column is not None)
    if len(columns) == len(more):
        carried = _carried((*one.include, *columns, *other.include), one.keys)
        if len(one.keys) + len(carried) <= MOST_COLUMNS:
            yield replace(one, include=carried)


def _carried(columns: Iterable[str], keys: Iterable[IndexKey]) -> tuple[str, ...]:
    texts = {key.column for key in keys}
    return tuple(sorted({column for column in columns if column not in texts}))
