"""Loads of two captures as judged metrics: latency, service time, throughput, failures, what was dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from dbtune.baseline import statistics
from dbtune.baseline.capture import Better, Capture
from dbtune.baseline.latency import latency_metrics
from dbtune.baseline.load_result import LoadBlock, LoadResult
from dbtune.baseline.metrics import MIN_BLOCKS, Rules, across_engines, block_metric, judged, plain_change, refused
from dbtune.baseline.outcome import Metric
from dbtune.baseline.samples import Side, side_of_histograms

Pair = tuple[str, LoadResult, LoadResult]


def paired_loads(before: Capture, after: Capture) -> Iterator[Pair]:
    """(prefix of the metrics' names, before, after). One load on each side: that one, whatever it is called."""
    if len(before.loads) == len(after.loads) == 1:
        yield "", before.loads[0], after.loads[0]
        return
    later = {load.name: load for load in after.loads}
    for load in before.loads:
        if load.name in later:
            yield f"{load.name}.", load, later[load.name]


def load_metrics(before: Capture, after: Capture, rules: Rules) -> Iterator[Metric]:
    for prefix, old, new in paired_loads(before, after):
        yield from latency_metrics(f"{prefix}latency", latency_side(old), latency_side(new), rules)
        if old.service is not None and new.service is not None:
            yield from latency_metrics(f"{prefix}service", _service_side(old), _service_side(new), rules)
        yield from _rates(prefix, old, new, rules)
        streams = {stream.name: stream for stream in new.streams}
        if len(old.streams) < 2 and len(new.streams) < 2:
            continue
        for stream in old.streams:
            if stream.name in streams:
                sides = _side(stream.blocks, old), _side(streams[stream.name].blocks, new)
                yield from latency_metrics(f"{prefix}{stream.name}.latency", *sides, rules)


def engine_of(load: LoadResult) -> str:
    """What must be alike for a verdict: engine, loop, stages."""
    return f"{load.engine}, {load.loop}, {load.profile}"


def latency_side(load: LoadResult) -> Side:
    return _side(load.blocks, load)


def _side(blocks: Sequence[LoadBlock], load: LoadResult) -> Side:
    return side_of_histograms([(block.stage, block.response, block.timed) for block in blocks], engine_of(load))


def _service_side(load: LoadResult) -> Side:
    parts = [(block.stage, block.service, block.timed) for block in load.blocks if block.service is not None]
    return side_of_histograms(parts, engine_of(load))


def _rates(prefix: str, old: LoadResult, new: LoadResult, rules: Rules) -> Iterator[Metric]:
    foreign = across_engines(engine_of(old), engine_of(new))
    yield refused(_throughput(f"{prefix}throughput.rate", old, new, rules), foreign)

    def shares(name: str, value: Callable[[LoadBlock], float], better: Better = "lower") -> Metric:
        sides = [value(block) for block in old.blocks], [value(block) for block in new.blocks]
        return refused(block_metric(f"{prefix}{name}", "share", better, sides, rules), foreign)

    yield shares("errors.rate", lambda block: block.failed / block.sent if block.sent else 0.0)
    if old.dropped or new.dropped:
        yield shares("dropped.rate", lambda block: block.dropped / max(block.dropped + block.sent, 1))


def _throughput(name: str, old: LoadResult, new: LoadResult, rules: Rules) -> Metric:
    """Requests that succeeded, per second."""
    rates = [
        [(block.stage, (block.sent - block.failed) / block.duration_s) for block in load.blocks if block.duration_s > 0]
        for load in (old, new)
    ]
    means = [_mean_rate(load) for load in (old, new)]
    metric = Metric(
        name, "1/s", "higher", means[0], means[1], "inconclusive", n_before=len(rates[0]), n_after=len(rates[1])
    )
    metric = replace(metric, change=plain_change(metric))
    if min(map(len, rates)) < MIN_BLOCKS:
        return judged(metric, None, rules, f"fewer than {MIN_BLOCKS} blocks on a side")
    if min(rate for side in rates for _, rate in side) <= 0:
        return judged(metric, None, rules, "nothing succeeded in a block: there is no ratio to judge")
    if rules.interleaved and len(rates[0]) == len(rates[1]):
        return judged(metric, statistics.paired_effect(*([rate for _, rate in side] for side in rates)), rules)
    drift = statistics.drift_between(rules.noise, *map(statistics.level_of, rates))
    effect = statistics.strata_effect(rates[0], rates[1], drift)
    reason = None if effect else "the loads have different stages, or too few blocks in each"
    return judged(metric, effect, rules, reason)


def _mean_rate(load: LoadResult) -> float | None:
    seconds = load.duration_s
    return (load.sent - load.failed) / seconds if seconds > 0 else None
