"""Timings, figures and counters of two captures as judged metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dbtune.baseline import statistics
from dbtune.baseline.capture import Better, Capture, Figure
from dbtune.baseline.outcome import Metric
from dbtune.baseline.statistics import Effect, Interval
from dbtune.baseline.verdict import judge, margin_of
from dbtune.baseline.windows import DatabaseDelta, database_windows, redis_hit_rates

MIN_BLOCKS = 3
"""Two blocks a side give an interval that says nothing."""
_QUIET = 50
"""Transactions a window: below this dbtune's own statements are a good part of what was counted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How to judge: the `margin`, and the standard deviation of a run's level (`noise`).

    `interleaved`: the blocks of both sides took turns, so they pair up and no noise between runs is assumed.
    """

    margin: float
    noise: float
    interleaved: bool = False


def judged(metric: Metric, effect: Effect | None, rules: Rules, reason: str | None = None) -> Metric:
    """`metric` with its change, interval and verdict; inconclusive for `reason` where there is no effect."""
    if effect is None:
        return replace(metric, verdict="inconclusive", reason=reason, change=plain_change(metric))
    share = metric.unit == "share"
    result = judge(effect, margin_of(rules.margin, share=share), metric.better)
    interval = effect.interval()
    return replace(
        metric,
        change=_change(effect.size, share=share),
        interval=Interval(_change(interval.low, share=share), _change(interval.high, share=share)),
        verdict=result.verdict,
        p=result.p,
        p_beyond=result.p_beyond,
        missing=result.missing,
        reason=result.reason or reason,
    )


def block_metric(
    name: str,
    unit: str,
    better: Better,
    sides: tuple[Sequence[float], Sequence[float]],
    rules: Rules,
    *,
    sampling: tuple[float, float] = (0.0, 0.0),
) -> Metric:
    """One value per block; `sides` are before and after. `sampling` as in `level_of`."""
    before, after = sides
    share = unit == "share"
    average = statistics.mean if share else _typical
    metric = Metric(
        name, unit, better, average(before) if before else None, average(after) if after else None, "inconclusive",
        n_before=len(before), n_after=len(after),
        before_interval=None if share else statistics.mean_interval(before),
        after_interval=None if share else statistics.mean_interval(after),
    )  # fmt: skip
    if min(len(before), len(after)) < MIN_BLOCKS:
        return judged(metric, None, rules, f"fewer than {MIN_BLOCKS} blocks on a side")
    if share:
        return judged(metric, statistics.share_effect(before, after, rules.noise), rules)
    if not any(before) and not any(after):
        return judged(metric, Effect(0.0, 0.0, math.inf), rules)
    if min(*before, *after) <= 0:
        return judged(metric, None, rules, "a block is zero: there is no ratio to judge")
    if rules.interleaved and len(before) == len(after):
        return judged(metric, statistics.paired_effect(before, after), rules)
    levels = [
        statistics.level_of([(0, value) for value in side], part) for side, part in zip(sides, sampling, strict=True)
    ]
    return judged(metric, statistics.block_effect(before, after, statistics.drift_between(rules.noise, *levels)), rules)


def figure_metric(before: Figure, after: Figure, rules: Rules) -> Metric:
    """An exact count is compared as it is (it needs no test), any other figure by its blocks."""
    if before.exact and after.exact and before.blocks and after.blocks:
        old, new = statistics.mean(before.blocks), statistics.mean(after.blocks)
        change = _exact_change(old, new, share=before.unit == "share")
        better = change < 0 if before.better == "lower" else change > 0
        metric = Metric(
            before.name, before.unit, before.better, old, new,
            "no_change" if change == 0 else "improved" if better else "regressed",
            change=change if math.isfinite(change) else None,
            interval=Interval(change, change) if math.isfinite(change) else None,
            n_before=len(before.blocks), n_after=len(after.blocks), exact=True,
        )  # fmt: skip
    else:
        metric = block_metric(before.name, before.unit, before.better, (before.blocks, after.blocks), rules)
    return refused(metric, across_engines(before.engine, after.engine))


def counter_metrics(before: Capture, after: Capture, rules: Rules) -> Iterator[Metric]:
    """From pg_stat_database and Redis INFO; nothing where either side has no usable window."""
    (old, old_why), (new, new_why) = database_windows(before), database_windows(after)
    if old_why is None and new_why is None:
        yield from _database_metrics(old, new, rules)
    (cached, cached_why), (warmed, warmed_why) = redis_hit_rates(before), redis_hit_rates(after)
    if cached_why is None and warmed_why is None:
        yield block_metric("redis.hit_rate", "share", "higher", (cached, warmed), rules)


def _database_metrics(old: Sequence[DatabaseDelta], new: Sequence[DatabaseDelta], rules: Rules) -> Iterator[Metric]:
    """Per transaction, so that more traffic is not taken for more work."""
    busy = [[window for window in side if window.transactions >= _QUIET] for side in (old, new)]
    if not all(busy):
        return

    def sides(value: Callable[[DatabaseDelta], float]) -> tuple[list[float], list[float]]:
        return [value(window) for window in busy[0]], [value(window) for window in busy[1]]

    hits = sides(lambda window: window.blocks_hit / max(window.blocks, 1))
    yield block_metric("database.buffer_hits", "share", "higher", hits, rules)
    blocks = sides(lambda window: window.blocks / window.transactions)
    yield block_metric("database.blocks_per_transaction", "blocks", "lower", blocks, rules)
    spilled = sides(lambda window: window.temp_bytes / window.transactions)
    if any(spilled[0]) or any(spilled[1]):
        yield block_metric("database.temp_per_transaction", "B", "lower", spilled, rules)
    failed = sides(lambda window: window.rollbacks / window.transactions)
    yield block_metric("database.rollbacks", "share", "lower", failed, rules)


def across_engines(before: str, after: str) -> str | None:
    """Why there is no verdict between two engines; None for one and the same."""
    return f"measured by {before}, then {after}: no verdict across engines" if before != after else None


def refused(metric: Metric, reason: str | None) -> Metric:
    if reason is None:
        return metric
    return replace(
        metric, verdict="inconclusive", reason=reason, change=None, interval=None, p=None, p_beyond=None, missing=None
    )


def _typical(values: Sequence[float]) -> float:
    return statistics.geometric_mean(values) or statistics.mean(values)


def plain_change(metric: Metric) -> float | None:
    if metric.before is None or metric.after is None:
        return None
    if metric.unit == "share":
        return metric.after - metric.before
    return metric.after / metric.before - 1 if metric.before > 0 else None


def told_by_stage(metric: Metric, stages: int) -> Metric:
    """`metric`, judged stage by stage, with a word where the figures of the whole tell another story.

    A stage that became faster sends more requests in a closed loop, so that the whole may move less than each of its
    stages, or the other way.
    """
    plain, interval = plain_change(metric), metric.interval
    if stages < 2 or plain is None or interval is None or interval.low <= plain <= interval.high:
        return metric
    word = f"each stage is compared with itself; over all it is {plain:+.0%}, as their shares of the requests moved"
    return replace(metric, reason=f"{metric.reason}; {word}" if metric.reason else word)


def _exact_change(old: float, new: float, *, share: bool) -> float:
    if share:
        return new - old
    if old == 0:
        return 0.0 if new == 0 else math.inf
    return new / old - 1


def _change(size: float, *, share: bool) -> float:
    if share:
        return size
    return math.expm1(size) if size < 1 else statistics.safe_exp(size) - 1
