"""Latencies of two captures as judged metrics, whether they are single times or histograms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from dbtune.baseline import statistics
from dbtune.baseline.metrics import MIN_BLOCKS, Rules, across_engines, judged, plain_change, refused, told_by_stage
from dbtune.baseline.outcome import Metric
from dbtune.baseline.samples import Side, block_quantiles, level_of_side, spread_of
from dbtune.baseline.statistics import Effect

_TAILS = (("p95", 0.95), ("p99", 0.99))
_FAR_TAIL = ("p99.9", 0.999)


def latency_metrics(name: str, before: Side, after: Side, rules: Rules) -> Iterator[Metric]:
    """P50 over block medians, the tails over order statistics, and the maximum, which nothing can judge.

    P99.9 is shown where both sides have the samples for it.
    """
    foreign = across_engines(before.engine, after.engine)
    yield refused(_median(name, before, after, rules), foreign)
    tails = list(_TAILS)
    if min(before.whole.count, after.whole.count) >= statistics.samples_needed(_FAR_TAIL[1]):
        tails.append(_FAR_TAIL)
    for label, share in tails:
        yield refused(_tail(f"{name}.{label}", share, before, after, rules), foreign)
    yield replace(_both(f"{name}.max", 1.0, before, after), reason="a maximum has no interval", informative=True)


def _median(name: str, before: Side, after: Side, rules: Rules) -> Metric:
    metric = _both(f"{name}.p50", 0.5, before, after)
    medians = [block_quantiles(side, 0.5) for side in (before, after)]
    if min(map(len, medians)) < MIN_BLOCKS or min(value for side in medians for _, value in side) <= 0:
        return _tail(metric.name, 0.5, before, after, rules)
    # The figures shown are the percentiles of all calls; the blocks decide about the change.
    if rules.interleaved and len(medians[0]) == len(medians[1]):
        plain = [[value for _, value in side] for side in medians]
        effect: Effect | None = statistics.paired_effect(plain[0], plain[1])
    else:
        drift = statistics.drift_between(rules.noise, level_of_side(before), level_of_side(after))
        effect = statistics.strata_effect(medians[0], medians[1], drift)
    if effect is None:
        return judged(metric, None, rules, "the loads have different stages, or too few blocks in each")
    counted = replace(metric, n_before=len(medians[0]), n_after=len(medians[1]))
    return told_by_stage(judged(counted, effect, rules), len({stage for stage, _ in medians[0]}))


def _tail(name: str, share: float, before: Side, after: Side, rules: Rules) -> Metric:
    metric = _both(name, share, before, after)
    if not before.whole.count or not after.whole.count:
        return judged(metric, None, rules, "no samples on a side")
    effect = quantile_effect(before, after, share, rules)
    if effect is not None:
        return judged(metric, effect, rules)
    needed = statistics.samples_needed(share)
    if min(before.whole.count, after.whole.count) < needed:
        return judged(replace(metric, missing=f"{needed} samples a side"), None, rules,
                      "too few samples for a finite interval")  # fmt: skip
    return judged(metric, None, rules, "a time of zero: there is no ratio to judge")


def quantile_effect(before: Side, after: Side, share: float, rules: Rules) -> Effect | None:
    """The change of one percentile of all calls.

    Each side's errors are the larger ones of its order-statistic interval, which takes calls for independent, and of
    the spread between its blocks, where a stall that hits several calls in a row shows. Below and above differ: a
    P99 among a hundred calls of which one is an outlier lies at the foot of a cliff, or on its top. They are put
    together as G. Y. Zou and A. Donner do (Statist. Med. 27 (2008) 1693): the change's lower error is made of the
    second's lower and the first's upper one. None where either side has too few calls for a finite interval, or a
    zero within it.
    """
    df, values, errors = math.inf, [], []
    for side in (before, after):
        interval, value = side.whole.interval(share), side.whole.quantile(share)
        if interval is None or value is None or interval.low <= 0:
            return None
        values.append(value)
        below, above = statistics.log_errors(value, interval)
        by_blocks, freedom = spread_of(side, share)
        errors.append((max(below, by_blocks), max(above, by_blocks)))
        if by_blocks > min(below, above):
            df = min(df, freedom)
    drift = statistics.Drift(0.0)
    if not rules.interleaved:
        drift = statistics.drift_between(rules.noise, level_of_side(before), level_of_side(after))
    if drift.lost:
        df = min(df, drift.variance**2 / drift.lost)
    return Effect(
        statistics.log_ratio(values[1], values[0]),
        math.sqrt(errors[1][0] + errors[0][1] + drift.variance),
        df,
        error_above=math.sqrt(errors[1][1] + errors[0][0] + drift.variance),
        noise=drift.noise,
    )


def _both(name: str, share: float, before: Side, after: Side) -> Metric:
    metric = Metric(
        name, "s", "lower", before.whole.quantile(share), after.whole.quantile(share), "inconclusive",
        n_before=before.whole.count, n_after=after.whole.count,
        before_interval=before.whole.interval(share), after_interval=after.whole.interval(share),
    )  # fmt: skip
    return replace(metric, change=plain_change(metric))
