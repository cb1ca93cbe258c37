"""pgbench's transaction log (`--log`): a line for each transaction.

    client transaction (µs | skipped | failed | serialization | deadlock) script epoch µs-of-second [lag] [retries]

The lag is there only with `--rate`, the retries only with `--max-tries` above 1: a line of seven fields can be
either, so the command line has to be known. With `--rate` the time counts from the scheduled start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

_SKIPPED = b"skipped"
_KINDS = {
    b"failed": "serialization or deadlock failure",
    b"serialization": "serialization failure",
    b"deadlock": "deadlock",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which optional columns the command line asked for."""

    lag: bool = False
    retries: bool = False

    @property
    def width(self) -> int:
        return 6 + self.lag + self.retries


@dataclass(frozen=True, slots=True)
class Alike:
    """Transactions of one script that ended in the same second and took as long; `lag_us` None without a rate."""

    script: int
    second: int
    time_us: int
    lag_us: int | None
    count: int


@dataclass(slots=True)
class Tallied:
    """What some lines say. `failed` and `skipped` by (script, second, what). `last_lag_us` is the latest seen."""

    alike: list[Alike] = field(default_factory=list)
    failed: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    skipped: Counter[int] = field(default_factory=Counter)
    unreadable: int = 0
    last_lag_us: int = 0

    @property
    def transactions(self) -> int:
        return sum(entry.count for entry in self.alike)


def tally(lines: Iterable[bytes], columns: Columns) -> Tallied:
    """Counts lines. What is no line of such a log (the last one of a killed run) is counted as unreadable."""
    rows = [row for row in map(bytes.split, lines) if row]
    whole = [row for row in rows if len(row) == columns.width]
    found = Tallied(unreadable=len(rows) - len(whole))
    keys = itemgetter(3, 4, 2, 6) if columns.lag else itemgetter(3, 4, 2)
    for key, count in Counter(map(keys, whole)).items():
        _enter(found, key, count, columns)
    return found


def _enter(found: Tallied, key: tuple[bytes, ...], count: int, columns: Columns) -> None:
    try:
        script, second = int(key[0]), int(key[1])
        lag_us = int(key[3]) if columns.lag else None
        if key[2] == _SKIPPED:
            found.skipped[second] += count
        elif key[2] in _KINDS:
            found.failed[script, second, _KINDS[key[2]]] += count
        else:
            found.alike.append(Alike(script, second, int(key[2]), lag_us, count))
            found.last_lag_us = lag_us or 0
    except ValueError:
        found.unreadable += count
