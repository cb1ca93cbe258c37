"""The sub-windows of one capture: differences of neighbouring snapshots."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dbtune.baseline.capture import Capture, StatementKey
from dbtune.baseline.matching import Group, own_queryids
from dbtune.baseline.outcome import StatementSide
from dbtune.baseline.rows import DatabaseRow
from dbtune.baseline.statistics import Moments
from dbtune.baseline.subtraction import StatementDelta, StatementsDelta, subtract


@dataclass(frozen=True, slots=True)
class StatementWindows:
    """What the statements did in each sub-window. `invalid` says why nothing of it can be used."""

    windows: tuple[StatementsDelta, ...]
    seconds: float
    invalid: str | None = None

    @property
    def keys(self) -> frozenset[StatementKey]:
        return frozenset(key for window in self.windows for key in window.deltas)

    @property
    def evicted(self) -> frozenset[StatementKey]:
        return frozenset(key for window in self.windows for key in window.evicted)

    @property
    def dealloc(self) -> int:
        return sum(window.dealloc or 0 for window in self.windows)

    @property
    def coverage(self) -> float | None:
        """The fraction of execution time whose statements this role may see (rule 13)."""
        seen = [math.fsum(delta.exec_ms for delta in window.deltas.values()) for window in self.windows]
        total = math.fsum(
            part / (1 - window.hidden_share)
            for part, window in zip(seen, self.windows, strict=True)
            if window.hidden_share < 1
        )
        if any(window.hidden_share >= 1 for window in self.windows):
            return 0.0
        return math.fsum(seen) / total if total > 0 else None


def statement_windows(capture: Capture) -> StatementWindows:
    """Subtracts neighbouring snapshots. Without two snapshots there is nothing to subtract, and `invalid` says so."""
    taken = [snapshot for snapshot in capture.snapshots if snapshot.statements is not None]
    if len(taken) < 2:
        reason = "captured without a window: cumulative counters cannot be judged"
        if not taken:
            reason = next((skip.reason for skip in capture.skipped if skip.check == "statements"), reason)
        return StatementWindows((), 0.0, reason)
    seconds = taken[-1].offset_s - taken[0].offset_s
    own = own_queryids(capture)
    windows = tuple(
        subtract(early.statements, late.statements, own)
        for early, late in pairwise(taken)
        if early.statements is not None and late.statements is not None
    )
    invalid = next((window.invalid for window in windows if window.invalid is not None), None)
    return StatementWindows(windows, seconds, invalid)


def block_means(group: Group, side: StatementWindows) -> tuple[float, ...]:
    """Seconds per call in each sub-window in which the statement was called."""
    means = []
    for window in side.windows:
        deltas = [window.deltas[key] for key in group.keys if key in window.deltas]
        calls = sum(delta.calls for delta in deltas)
        if calls > 0:
            means.append(math.fsum(delta.exec_ms for delta in deltas) / calls / 1000)
    return tuple(means)


def sampling_variance(group: Group, side: StatementWindows) -> float:
    """The part of the variance of ln block means that the number of calls explains: s²/(n·m²), on average."""
    parts = []
    for window in side.windows:
        moments = pooled_moments(window.deltas[key] for key in group.keys if key in window.deltas)
        if moments.calls > 1 and moments.mean > 0:
            parts.append(moments.deviation**2 / moments.calls / moments.mean**2)
    return math.fsum(parts) / len(parts) if parts else 0.0


def deltas_of(group: Group, side: StatementWindows) -> list[StatementDelta]:
    return [window.deltas[key] for window in side.windows for key in group.keys if key in window.deltas]


def pooled_moments(deltas: Iterable[StatementDelta]) -> Moments:
    """Calls, mean and deviation in seconds of several rows together: sums of squares add up around the common mean."""
    rows = [delta for delta in deltas if delta.calls > 0]
    calls = sum(delta.calls for delta in rows)
    if calls < 2:
        return Moments(calls, 0.0, 0.0)
    center = math.fsum(delta.exec_ms for delta in rows) / calls
    squares = math.fsum(
        (delta.deviation_ms or 0.0) ** 2 * (delta.calls - 1) + delta.calls * (delta.exec_ms / delta.calls - center) ** 2
        for delta in rows
    )
    return Moments(calls, center / 1000, math.sqrt(squares / (calls - 1)) / 1000)


def summarize(deltas: Sequence[StatementDelta], seconds: float, *, io: bool, planning: bool) -> StatementSide | None:
    """None for a statement that was not called."""
    calls = sum(delta.calls for delta in deltas)
    if calls <= 0 or seconds <= 0:
        return None
    exec_s = math.fsum(delta.exec_ms for delta in deltas) / 1000
    return StatementSide(
        calls=calls,
        calls_per_s=calls / seconds,
        time_per_call_s=exec_s / calls,
        time_per_s=exec_s / seconds,
        rows_per_call=sum(delta.rows for delta in deltas) / calls,
        blocks_per_call=sum(delta.blocks for delta in deltas) / calls,
        temp_blocks_per_call=sum(delta.temp_blocks for delta in deltas) / calls,
        wal_bytes_per_call=sum(delta.wal_bytes for delta in deltas) / calls,
        io_s_per_call=math.fsum(delta.io_ms for delta in deltas) / 1000 / calls if io else None,
        plan_s_per_call=math.fsum(delta.plan_ms for delta in deltas) / 1000 / calls if planning else None,
        max_s=max(delta.max_ms for delta in deltas) / 1000,
        partial=any(delta.state == "partial" for delta in deltas),
    )


@dataclass(frozen=True, slots=True)
class DatabaseDelta:
    """pg_stat_database in one sub-window."""

    transactions: int
    rollbacks: int
    blocks: int
    blocks_hit: int
    temp_bytes: int
    deadlocks: int


def database_windows(capture: Capture) -> tuple[tuple[DatabaseDelta, ...], str | None]:
    """The sub-windows, and why there are none: a reset, a restart, or no window at all."""
    rows = [snapshot.database for snapshot in capture.snapshots if snapshot.database is not None]
    deltas = []
    for early, late in pairwise(rows):
        if early.stats_reset != late.stats_reset or late.xact_commit < early.xact_commit:
            return (), "the database's counters were reset within the window"
        deltas.append(_database_delta(early, late))
    return tuple(deltas), None if deltas else "captured without a window"


def _database_delta(early: DatabaseRow, late: DatabaseRow) -> DatabaseDelta:
    commits, rollbacks = late.xact_commit - early.xact_commit, late.xact_rollback - early.xact_rollback
    hits = late.blks_hit - early.blks_hit
    return DatabaseDelta(
        transactions=commits + rollbacks,
        rollbacks=rollbacks,
        blocks=hits + late.blks_read - early.blks_read,
        blocks_hit=hits,
        temp_bytes=late.temp_bytes - early.temp_bytes,
        deadlocks=late.deadlocks - early.deadlocks,
    )


def redis_hit_rates(capture: Capture) -> tuple[tuple[float, ...], str | None]:
    """Hits over look-ups in each sub-window with look-ups, and why there are none."""
    shots = [snapshot for snapshot in capture.snapshots if snapshot.redis is not None]
    rates = []
    for early, late in pairwise(shots):
        old, new = early.redis or {}, late.redis or {}
        hits = new.get("keyspace_hits", 0) - old.get("keyspace_hits", 0)
        misses = new.get("keyspace_misses", 0) - old.get("keyspace_misses", 0)
        if early.redis_run_id != late.redis_run_id or hits < 0 or misses < 0:
            return (), "Redis was restarted or its counters were reset within the window"
        if hits + misses > 0:
            rates.append(hits / (hits + misses))
    return tuple(rates), None if rates else "Redis saw no look-ups within a window"
