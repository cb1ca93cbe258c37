"""Candidates that begin alike: one may take another's place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dbtune.advisor.existing import covers
from dbtune.advisor.prices import Mask, positions
from dbtune.advisor.states import States


def smaller(states: States, bit: int, pool: Mask) -> list[int]:
    """Those of a pool that are smaller and begin with the same key, the largest of them first."""
    mine = states.prices.candidate(bit)
    found = [
        other
        for other in positions(pool)
        if states.burden(other).size_bytes < states.burden(bit).size_bytes
        and states.table(other) == states.table(bit)
        and states.prices.candidate(other).keys[0].text == mine.keys[0].text
    ]
    return sorted(found, key=lambda other: (-states.burden(other).size_bytes, other))


def wider(states: States, bit: int, pool: Mask) -> list[int]:
    """Those of a pool that begin with the same key and hold all that this one holds."""
    candidate = states.prices.candidate
    mine = candidate(bit)
    place = (mine.schema, mine.table, mine.method, mine.where, mine.keys[0].text)
    return [
        other
        for other in positions(pool)
        if ((one := candidate(other)).schema, one.table, one.method, one.where, one.keys[0].text) == place
        and one.holds >= mine.holds
    ]


def is_shadowed(states: States, bit: int, chosen: Iterable[int]) -> bool:
    """Whether another of those chosen begins with its keys, whatever either carries, and holds its rows."""
    candidate = states.prices.candidate
    mine = replace(candidate(bit), include=())
    wholes = (mine, replace(mine, where=None))
    return any(covers(candidate(other), one) for other in chosen if other != bit for one in wholes)
