"""Statements before and after: time per call judged, and what volume and cost each did to the total (rule 16)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from dbtune.baseline.capture import Capture
from dbtune.baseline.comparability import Comparability
from dbtune.baseline.matching import Group, Pair, group, match
from dbtune.baseline.metrics import Rules, block_metric, judged
from dbtune.baseline.outcome import Metric, Split, StatementChange, StatementSide
from dbtune.baseline.statistics import CONFIDENCE, MIN_CALLS, moments_effect
from dbtune.baseline.verdict import holm
from dbtune.baseline.windows import (
    StatementWindows,
    block_means,
    deltas_of,
    pooled_moments,
    sampling_variance,
    summarize,
)


def compare_statements(
    before: tuple[Capture, StatementWindows],
    after: tuple[Capture, StatementWindows],
    comparability: Comparability,
    rules: Rules,
) -> tuple[StatementChange, ...]:
    """Every statement that ran on either side, the largest first, its verdict adjusted for their number."""
    groups = [group(windows.keys, capture.texts, capture.users) for capture, windows in (before, after)]
    pairs = match(groups[0], groups[1], ids=comparability.ids)
    found = (_change(pair, before[1], after[1], comparability, rules) for pair in pairs)
    return _adjusted(sorted((change for change in found if change is not None), key=weight, reverse=True))


def total_split(changes: Sequence[StatementChange]) -> Split | None:
    """Over top-level statements only: nested calls are inside their callers' time (rule 1)."""
    top = [change.split for change in changes if change.toplevel]
    if not top:
        return None
    return Split(math.fsum(part.volume for part in top), math.fsum(part.cost for part in top))


def weight(change: StatementChange) -> float:
    """Seconds of execution per second, on the busier side."""
    return max(side.time_per_s for side in (change.before, change.after) if side is not None)


def _change(
    pair: Pair, old: StatementWindows, new: StatementWindows, comparability: Comparability, rules: Rules
) -> StatementChange | None:
    group_shown = pair.after or pair.before
    if group_shown is None:
        return None
    io, planning = comparability.io_timing, comparability.planning
    sides = [
        summarize(deltas_of(member, windows), windows.seconds, io=io, planning=planning) if member else None
        for member, windows in ((pair.before, old), (pair.after, new))
    ]
    if sides[0] is None and sides[1] is None:
        return None
    queryids = {queryid for member in (pair.before, pair.after) if member for queryid in member.queryids}
    return StatementChange(
        queryids=tuple(sorted(queryids)),
        query=group_shown.text,
        user=group_shown.user,
        toplevel=group_shown.toplevel,
        matched_by=pair.matched_by,
        before=sides[0],
        after=sides[1],
        time=_time_metric(pair, (sides[0], sides[1]), (old, new), rules),
        split=_split(sides[0], sides[1]),
    )


def _time_metric(
    pair: Pair,
    sides: tuple[StatementSide | None, StatementSide | None],
    windows: tuple[StatementWindows, StatementWindows],
    rules: Rules,
) -> Metric:
    before, after = sides
    metric = Metric(
        "time_per_call", "s", "lower",
        before.time_per_call_s if before else None, after.time_per_call_s if after else None, "inconclusive",
        n_before=before.calls if before else 0, n_after=after.calls if after else 0,
    )  # fmt: skip
    if before is None or after is None or pair.before is None or pair.after is None:
        return replace(metric, reason="called only after" if before is None else "called only before")
    if before.partial or after.partial:
        return judged(metric, None, rules, "evicted or reset within the window: the counts are a lower bound")
    blocks = block_means(pair.before, windows[0]), block_means(pair.after, windows[1])
    if min(len(blocks[0]), len(blocks[1])) >= 3 and min(*blocks[0], *blocks[1]) > 0:
        sampling = sampling_variance(pair.before, windows[0]), sampling_variance(pair.after, windows[1])
        found = block_metric(metric.name, "s", "lower", blocks, rules, sampling=sampling)
        return replace(found, before=metric.before, after=metric.after)
    return _two_snapshots(metric, (pair.before, pair.after), windows, rules)


def _two_snapshots(
    metric: Metric, groups: tuple[Group, Group], windows: tuple[StatementWindows, StatementWindows], rules: Rules
) -> Metric:
    """Too few blocks: the deviation within the window stands in, with the noise between runs assumed."""
    moments = [pooled_moments(deltas_of(member, side)) for member, side in zip(groups, windows, strict=True)]
    if min(part.calls for part in moments) < MIN_CALLS:
        few = replace(metric, missing=f"{MIN_CALLS} calls a side")
        return judged(few, None, rules, f"fewer than {MIN_CALLS} calls on a side")
    effect = moments_effect(moments[0], moments[1], rules.noise)
    if effect is None:
        return judged(metric, None, rules, "too short to be timed")
    return judged(metric, effect, rules, f"noise between runs assumed: {rules.noise:.0%}")


def _split(before: StatementSide | None, after: StatementSide | None) -> Split:
    """A statement that is new or gone is all volume: nothing is known of its cost on the other side."""
    if before is None or after is None:
        return Split((after.time_per_s if after else 0.0) - (before.time_per_s if before else 0.0), 0.0)
    return Split(
        volume=(after.calls_per_s - before.calls_per_s) * before.time_per_call_s,
        cost=after.calls_per_s * (after.time_per_call_s - before.time_per_call_s),
    )


def _adjusted(changes: Sequence[StatementChange]) -> tuple[StatementChange, ...]:
    """Among hundreds of statements some seem to change by chance: Holm's correction over all that were judged."""
    judged_ones = [change for change in changes if change.time.p_beyond is not None]
    adjusted = dict(
        zip(map(id, judged_ones), holm([change.time.p_beyond or 0.0 for change in judged_ones]), strict=True)
    )
    return tuple(
        replace(change, time=_demoted(change.time, len(judged_ones)))
        if change.time.verdict in ("improved", "regressed") and adjusted[id(change)] > 1 - CONFIDENCE
        else change
        for change in changes
    )


def _demoted(time: Metric, number: int) -> Metric:
    return replace(time, verdict="inconclusive", reason=f"may be chance among {number} statements")
