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
    """Transactions of one script that ended in the same second and took as long."""

    script: int
    second: int
    time_us: int
    count: int


@dataclass(slots=True)
class Tallied:
    """What some lines say. `alike` are response times; `served` are service times, which only a rate tells apart.

    `failed` is counted by (script, second, what), `skipped` by second. `last_lag_us` is the latest seen.
    """

    alike: list[Alike] = field(default_factory=list)
    served: list[Alike] = field(default_factory=list)
    failed: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    skipped: Counter[int] = field(default_factory=Counter)
    unreadable: int = 0
    last_lag_us: int = 0

    @property
    def transactions(self) -> int:
        return sum(entry.count for entry in self.alike)


_RESPONSE = itemgetter(3, 4, 2)


def tally(lines: Iterable[bytes], columns: Columns) -> Tallied:
    """Counts lines. What is no line of such a log (the last one of a killed run) is counted as unreadable."""
    rows = [row for row in map(bytes.split, lines) if row]
    whole = [row for row in rows if len(row) == columns.width]
    found = Tallied(unreadable=len(rows) - len(whole))
    for key, count in Counter(map(_RESPONSE, whole)).items():
        _enter(found, key, count)
    if columns.lag:
        _serve(found, whole)
    return found


def _enter(found: Tallied, key: tuple[bytes, bytes, bytes], count: int) -> None:
    try:
        script, second = int(key[0]), int(key[1])
        if key[2] == _SKIPPED:
            found.skipped[second] += count
        elif key[2] in _KINDS:
            found.failed[script, second, _KINDS[key[2]]] += count
        else:
            found.alike.append(Alike(script, second, int(key[2]), count))
    except ValueError:
        found.unreadable += count


def _serve(found: Tallied, rows: Iterable[list[bytes]]) -> None:
    """Response and service times are counted apart: pairs of them are hardly ever alike."""
    served: Counter[tuple[bytes, bytes, int]] = Counter()
    lag_us = 0
    for row in rows:
        if row[2].isdigit() and row[6].isdigit():
            lag_us = int(row[6])
            served[row[3], row[4], int(row[2]) - lag_us] += 1
    found.last_lag_us = lag_us
    for (script, second, time_us), count in served.items():
        if script.isdigit() and second.isdigit():
            found.served.append(Alike(int(script), int(second), max(time_us, 0), count))
