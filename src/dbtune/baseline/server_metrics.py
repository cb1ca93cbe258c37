"""WAL, I/O, checkpoints and Redis commands of two captures: shown beside the verdicts, and not judged.

They are the whole server's, with everything that runs there beside: background work moves them more than most changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from dbtune.baseline.capture import Better, Capture
from dbtune.baseline.metrics import plain_change
from dbtune.baseline.outcome import Metric
from dbtune.baseline.rows import CommandRow, InstanceRow, IoRow

_COMMANDS = 5
_CALLS = 30
"""Fewer calls of a command have no mean worth showing."""
_OWN = ("info", "config", "client", "command", "hello", "ping", "select", "auth", "acl")


def server_metrics(before: Capture, after: Capture) -> Iterator[Metric]:
    old, new = dict(_figures(before)), dict(_figures(after))
    for name, (value, unit) in new.items():
        if name in old:
            yield _shown(name, unit, old[name][0], value)
    yield from _commands(before, after)


def _shown(name: str, unit: str, old: float, new: float, better: Better = "lower") -> Metric:
    metric = Metric(name, unit, better, old, new, "inconclusive", informative=True, reason="the whole server's")
    return replace(metric, change=plain_change(metric), n_before=1, n_after=1)


def _figures(capture: Capture) -> Iterator[tuple[str, tuple[float, str]]]:
    """Per second of the window; a counter that fell or was reset says nothing."""
    if capture.windows == 0:
        return
    first, last = capture.snapshots[0], capture.snapshots[-1]
    seconds = last.offset_s - first.offset_s
    if first.instance is not None and last.instance is not None:
        yield from _instance(first.instance, last.instance, seconds)
    if first.io and last.io:
        yield from _io(first.io, last.io, seconds)


def _instance(first: InstanceRow, last: InstanceRow, seconds: float) -> Iterator[tuple[str, tuple[float, str]]]:
    if first.wal_bytes is not None and last.wal_bytes is not None and first.stats_reset == last.stats_reset:
        yield from _rate("server.wal", first.wal_bytes, last.wal_bytes, seconds, "B")
    if first.checkpoints_reset == last.checkpoints_reset:
        counts = [(row.checkpoints_timed or 0) + (row.checkpoints_requested or 0) for row in (first, last)]
        if counts[1] >= counts[0]:
            yield "server.checkpoints", (float(counts[1] - counts[0]), "checkpoints")


def _io(first: tuple[IoRow, ...], last: tuple[IoRow, ...], seconds: float) -> Iterator[tuple[str, tuple[float, str]]]:
    if {row.stats_reset for row in first} != {row.stats_reset for row in last}:
        return
    for name in ("read_bytes", "write_bytes"):
        sums = [math.fsum(getattr(row, name) for row in rows) for rows in (first, last)]
        yield from _rate(f"server.{name.removesuffix('_bytes')}", sums[0], sums[1], seconds, "B")


def _rate(name: str, first: float, last: float, seconds: float, unit: str) -> Iterator[tuple[str, tuple[float, str]]]:
    if last >= first and seconds > 0:
        yield f"{name}_per_s", ((last - first) / seconds, unit)


def _commands(before: Capture, after: Capture) -> Iterator[Metric]:
    """Mean times of the commands that took most time afterwards or before."""
    sides = [_command_deltas(capture) for capture in (before, after)]
    spent = {
        name: max(side[name].time_s for side in sides if name in side)
        for name in sides[0].keys() & sides[1].keys()
        if name.split("|")[0] not in _OWN
    }
    for name in sorted(spent, key=lambda name: spent[name], reverse=True)[:_COMMANDS]:
        old, new = (side[name] for side in sides)
        if min(old.calls, new.calls) >= _CALLS:
            yield _shown(f"redis.{name}.time_per_call", "s", old.time_s / old.calls, new.time_s / new.calls)


def _command_deltas(capture: Capture) -> dict[str, CommandRow]:
    shots = [shot for shot in capture.snapshots if shot.redis_commands]
    if len(shots) < 2 or shots[0].redis_run_id != shots[-1].redis_run_id:
        return {}
    first = shots[0].redis_commands
    found = {}
    for name, row in shots[-1].redis_commands.items():
        early = first.get(name, CommandRow(0, 0.0))
        if row.calls > early.calls and row.time_s >= early.time_s:
            found[name] = CommandRow(row.calls - early.calls, row.time_s - early.time_s, row.failed - early.failed)
    return found
