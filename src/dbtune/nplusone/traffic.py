"""What detection reads: statements with their counts in each sub-window, and the keys of the tables they name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one user, its variants merged by fingerprint. One number for each sub-window.

    `rows` are those returned or written, `exec_ms` milliseconds of execution.
    """

    queryids: tuple[str, ...]
    fingerprint: str
    text: str
    user: int
    calls: tuple[int, ...]
    rows: tuple[int, ...]
    exec_ms: tuple[float, ...]

    @property
    def total_calls(self) -> int:
        return sum(self.calls)

    @property
    def total_rows(self) -> int:
        return sum(self.rows)

    @property
    def total_ms(self) -> float:
        return math.fsum(self.exec_ms)

    @property
    def rows_per_call(self) -> float:
        return self.total_rows / self.total_calls if self.total_calls else 0.0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A row of `audit_keys`: a foreign key, or a unique key (then `other_*` are empty).

    `place`: of the schema in the search path, from 1.

    `null_fraction`: of the first column, from the statistics; None where they are missing or may not be read.
    """

    kind: Literal["foreign", "unique"]
    schema: str
    table: str
    columns: list[str]
    is_primary: bool
    other_schema: str | None
    other_table: str | None
    other_columns: list[str] | None
    null_fraction: float | None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Logged:
    """A statement as it was logged. `mark` is the fingerprint of its text; `values` tells its parameters apart."""

    pid: str
    mark: str
    values: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the traffic that could not be judged."""

    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """All sub-windows; without a window one, which counts since the statistics began (`is_snapshot`).

    `commits`: transactions committed in this database over the whole window. `round_trip_s`: the median time that
    a statement which does nothing took from here.
    """

    statements: tuple[Statement, ...]
    keys: Sequence[KeyRow]
    seconds: float
    is_snapshot: bool
    commits: int = 0
    round_trip_s: float = 0.0
    unread: tuple[Unread, ...] = ()
    caveats: tuple[str, ...] = ()
    sample: tuple[Logged, ...] = ()
