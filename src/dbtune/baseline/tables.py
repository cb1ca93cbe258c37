"""What was read from each table, per second, and the indexes that are new."""

from __future__ import annotations

from itertools import groupby

from dbtune.baseline.capture import Capture, Snapshot
from dbtune.baseline.outcome import TableChange


def compare_tables(before: Capture, after: Capture) -> tuple[TableChange, ...]:
    """Tables whose reads differ or that got an index, the most rows read sequentially first.

    Empty where either capture has no window. Tables are matched by name: one made again keeps its name only.
    """
    old, new = _rates(before), _rates(after)
    if old is None or new is None:
        return ()
    fresh = _new_indexes(before.snapshots[-1], after.snapshots[-1])
    changes = [
        TableChange(name, *_sides(old.get(name), new.get(name)), new_indexes=fresh.get(name, ()))
        for name in sorted({*old, *new})
    ]
    told = [
        change
        for change in changes
        if change.new_indexes
        or change.seq_rows_before != change.seq_rows_after
        or change.index_scans_before != change.index_scans_after
    ]
    return tuple(sorted(told, key=lambda change: max(change.seq_rows_before, change.seq_rows_after), reverse=True))


def _sides(old: tuple[float, float] | None, new: tuple[float, float] | None) -> tuple[float, float, float, float]:
    old, new = old or (0.0, 0.0), new or (0.0, 0.0)
    return old[0], new[0], old[1], new[1]


def _rates(capture: Capture) -> dict[str, tuple[float, float]] | None:
    """Rows read by sequential scans, and index scans, per second of the whole window."""
    shots = capture.snapshots
    if len(shots) < 2:
        return None
    seconds = shots[-1].tables_at_s - shots[0].tables_at_s
    if seconds <= 0:
        return None
    start = {row.relid: row for row in shots[0].tables}
    rates = {}
    for row in shots[-1].tables:
        first = start.get(row.relid)
        rows = row.seq_tup_read - (first.seq_tup_read if first else 0)
        scans = row.idx_scan - (first.idx_scan if first else 0)
        # A counter that fell was reset: what is left is a lower bound.
        rates[f"{row.schema}.{row.name}"] = (
            (rows if rows >= 0 else row.seq_tup_read) / seconds,
            (scans if scans >= 0 else row.idx_scan) / seconds,
        )
    return rates


def _new_indexes(old: Snapshot, new: Snapshot) -> dict[str, tuple[str, ...]]:
    known = {(row.schema, row.name) for row in old.indexes}
    fresh = sorted(
        (f"{row.schema}.{row.table}", row.name) for row in new.indexes if (row.schema, row.name) not in known
    )
    return {table: tuple(name for _, name in rows) for table, rows in groupby(fresh, key=lambda pair: pair[0])}
