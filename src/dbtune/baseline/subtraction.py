"""Two snapshots of pg_stat_statements, subtracted honestly.

Rules kept here: 1 (key, nested calls apart), 3 (resets and evictions of one row), 4 (of all rows), 5 (rows that came
and went), 7 (minimum and maximum are not subtracted), 8 (the standard deviation of an interval), 12 (no I/O time with
timing off), 13 (coverage), 14 (dbtune's own statements). Rules 2 and 15 are in the SQL, 6 is that capture never
resets, 9, 10 and 16 are in `matching` and `comparison`, 11 is said in the report.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from dbtune.baseline.capture import StatementKey, StatementRow, Statements

RowState = Literal["whole", "partial", "new"]

_COUNTERS = (
    "calls", "rows", "exec_ms", "plans", "plan_ms", "shared_hit", "shared_read", "shared_dirtied", "shared_written",
    "local_hit", "local_read", "temp_read", "temp_written", "read_ms", "write_ms", "wal_records", "wal_bytes",
)  # fmt: skip
# Sums of floating-point milliseconds are not exact: a fall by less than this is no reset.
_SLACK_MS = 1e-6


@dataclass(frozen=True, slots=True)
class StatementDelta:
    """What one statement did in a window. `blocks` are the shared, local and temporary blocks hit or read.

    `deviation_ms` is the sample standard deviation of the window's calls, None below two of them.
    `max_ms` is a lifetime value (rule 7). A "partial" row is a lower bound.
    """

    key: StatementKey
    state: RowState
    calls: int
    rows: int
    exec_ms: float
    plan_ms: float
    blocks: int
    blocks_read: int
    temp_blocks: int
    io_ms: float
    wal_bytes: int
    deviation_ms: float | None
    max_ms: float


@dataclass(frozen=True, slots=True)
class StatementsDelta:
    """A window. `invalid` says why nothing in it can be believed; `evicted` are rows that were there and went.

    `hidden_share`: the fraction of execution time whose statements this role may not see.
    """

    deltas: Mapping[StatementKey, StatementDelta]
    evicted: tuple[StatementKey, ...] = ()
    dealloc: int | None = None
    hidden_share: float = 0.0
    invalid: str | None = None


def subtract(first: Statements, second: Statements, own: Collection[str] = ()) -> StatementsDelta:
    """`second` minus `first`, without the statements whose queryid is in `own` (rule 14)."""
    invalid = find_reset(first, second)
    if invalid is not None:
        return StatementsDelta({}, invalid=invalid)
    before = {row.key: row for row in first.rows}
    after = {row.key: row for row in second.rows}
    dealloc = None
    if first.dealloc is not None and second.dealloc is not None:
        dealloc = second.dealloc - first.dealloc
    gone = tuple(key for key in before if key not in after and key.queryid not in own)
    # Rule 5: a new row starts at zero only if nothing was evicted; before 1.9 only a row that went tells so.
    settled = dealloc == 0 if dealloc is not None else not gone
    # Most rows of most windows did not move: they are left out before anything is computed.
    moved = [(key, row) for key, row in after.items() if row != before.get(key) and key.queryid not in own]
    deltas = {key: _row_delta(before.get(key), row, settled=settled) for key, row in moved}
    deltas = {key: delta for key, delta in deltas.items() if delta.calls > 0 or delta.state == "partial"}
    hidden_ms = max(second.hidden_exec_ms - first.hidden_exec_ms, 0.0)
    seen_ms = math.fsum(delta.exec_ms for delta in deltas.values() if delta.key.toplevel is not False)
    share = hidden_ms / (hidden_ms + seen_ms) if hidden_ms + seen_ms > 0 else 0.0
    return StatementsDelta(deltas, gone, dealloc, share)


def find_reset(first: Statements, second: Statements) -> str | None:
    """Rule 4. Before extension 1.9 nothing records a reset: it shows in entries that went and counters that fell."""
    if first.stats_reset != second.stats_reset:
        return "pg_stat_statements was reset within the window"
    if first.dealloc is not None and second.dealloc is not None:
        return "pg_stat_statements began anew within the window" if second.dealloc < first.dealloc else None
    # An eviction takes a twentieth of the entries, and only when there is no room.
    if second.entries < first.entries / 2:
        return "most entries of pg_stat_statements went within the window: it was reset"
    after = {row.key: row for row in second.rows}
    known = [(row, after.get(row.key)) for row in first.rows if row.calls > 0]
    lost = any(late is None or late.calls < early.calls for early, late in known)
    if lost and all(late is None or late.calls <= early.calls for early, late in known):
        return "every counter of pg_stat_statements fell within the window: it was reset"
    return None


def _row_delta(early: StatementRow | None, late: StatementRow, *, settled: bool) -> StatementDelta:
    """Rules 3 and 5: a row that was evicted and came back counts from its new beginning, and is partial."""
    state: RowState = "whole"
    if early is None:
        state = "new" if settled else "partial"
    elif early.stats_since != late.stats_since or _fell(early, late):
        early, state = None, "partial"
    value = {name: getattr(late, name) - (getattr(early, name) if early else 0) for name in _COUNTERS}
    return StatementDelta(
        key=late.key,
        state=state,
        calls=value["calls"],
        rows=value["rows"],
        exec_ms=value["exec_ms"],
        plan_ms=value["plan_ms"],
        blocks=value["shared_hit"] + value["shared_read"] + value["local_hit"] + value["local_read"],
        blocks_read=value["shared_read"],
        temp_blocks=value["temp_read"] + value["temp_written"],
        io_ms=value["read_ms"] + value["write_ms"],
        wal_bytes=value["wal_bytes"],
        deviation_ms=window_deviation(early, late),
        max_ms=late.exec_max_ms,
    )


def _fell(early: StatementRow, late: StatementRow) -> bool:
    return any(getattr(late, name) < getattr(early, name) - _SLACK_MS for name in _COUNTERS)


def window_deviation(early: StatementRow | None, late: StatementRow) -> float | None:
    """Rule 8: the server's deviation is cumulative and of the population; the window's comes from the sums of squares.

    M_B = n2·s2² - n1·s1² - (m_B - m1)²·n1·n_B / n2, clamped at 0; the sample variance is M_B / (n_B - 1).
    """
    n1 = early.calls if early else 0
    n2, calls = late.calls, late.calls - n1
    if calls < 2:
        return None
    squares = n2 * late.exec_stddev_ms**2
    if early is not None and n1 > 0:
        window_mean = (late.exec_ms - early.exec_ms) / calls
        gap = window_mean - early.exec_ms / n1
        squares -= n1 * early.exec_stddev_ms**2 + gap**2 * n1 * calls / n2
    return math.sqrt(max(squares, 0.0) / (calls - 1))
