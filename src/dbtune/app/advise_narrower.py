"""A covering index that harms one statement and helps others, without the columns that only that statement reads.

The statement then no longer finds all it needs in the index, and goes the way it went before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.texts import tokens


def narrower(index: IndexDefinition, harmed: str, others: Iterable[str]) -> IndexDefinition | None:
    """Less the INCLUDE columns that `harmed` names and none of the `others` does; None where there are none."""
    wanted = frozenset[str]().union(*map(_words, others))
    lost = {column for column in index.include if column in _words(harmed) - wanted}
    if not lost:
        return None
    return replace(index, include=tuple(column for column in index.include if column not in lost))


def _words(text: str) -> frozenset[str]:
    """Whatever may be the name of a column."""
    return frozenset(
        token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text.lower()
        for token in tokens(text)
        if token.kind in ("word", "quoted")
    )
