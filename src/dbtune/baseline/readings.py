"""What was measured, by the names that gates use: `latency.p95`, `errors.rate`, `feed.p50`, `redis.hit_rate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbtune.baseline import statistics
from dbtune.baseline.capture import Capture
from dbtune.baseline.gates import Reading, Source
from dbtune.baseline.load_result import LoadBlock, LoadResult
from dbtune.baseline.loads import latency_side
from dbtune.baseline.samples import Counted, Sample, Values
from dbtune.baseline.windows import database_windows, redis_hit_rates, statement_windows
from dbtune.plans.tree import nodes

_ALIASES = {
    "http_req_duration": "latency", "http_req_failed": "errors", "http_reqs": "requests", "iterations": "requests",
    "iteration_duration": "latency", "dropped_iterations": "dropped",
}  # fmt: skip
"""k6's names for the same things, so that its thresholds can be used as they are."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a gate is held against; `before` is None where no baseline was named."""

    before_name: str | None
    after_name: str
    before: Source | None
    after: Source


def readings_of_load(load: LoadResult) -> Source:
    """Of one finished load."""

    def read(metric: str, statistic: str) -> Reading | None:
        return _load_reading(load, _ALIASES.get(metric, metric) or "latency", statistic)

    return read


def readings(capture: Capture) -> Source:
    """Of everything in a capture. Names that stand for nothing there give None."""
    counters = _Counters(capture)

    def read(metric: str, statistic: str) -> Reading | None:
        metric = _ALIASES.get(metric, metric)
        for found in _found(capture, metric, statistic):
            if found is not None:
                return found
        return counters(f"{metric}.{statistic}" if statistic != "value" else metric)

    return read


def _found(capture: Capture, metric: str, statistic: str) -> Iterator[Reading | None]:
    for load in capture.loads:
        if len(capture.loads) == 1:
            yield _load_reading(load, metric or "latency", statistic)
        if metric.startswith(f"{load.name}."):
            yield _load_reading(load, metric.removeprefix(f"{load.name}."), statistic)
    for timing in capture.timings:
        if metric == timing.name or (not metric and len(capture.timings) == 1):
            yield _time(Values(tuple(sorted(timing.values_s))), statistic)
            calls = len(timing.values_s) + timing.errors
            yield _count(statistic, calls, timing.errors, None)
    for figure in capture.figures:
        if metric == figure.name and figure.blocks:
            yield _figure(figure.blocks, figure.unit, statistic)
        # `feed.calls` is one name, whatever its last word means elsewhere.
        if f"{metric}.{statistic}" == figure.name and figure.blocks:
            yield Reading(statistics.mean(figure.blocks), figure.unit)


def _figure(blocks: Sequence[float], unit: str, statistic: str) -> Reading | None:
    values: Mapping[str, Callable[[], float]] = {
        "value": lambda: statistics.mean(blocks), "rate": lambda: statistics.mean(blocks),
        "avg": lambda: statistics.mean(blocks), "min": lambda: min(blocks), "max": lambda: max(blocks),
        "med": lambda: statistics.median(blocks),
    }  # fmt: skip
    return Reading(values[statistic](), unit) if statistic in values else None


def _load_reading(load: LoadResult, metric: str, statistic: str) -> Reading | None:
    blocks, name = load.blocks, metric
    for stream in load.streams:
        if metric == stream.name or metric.startswith(f"{stream.name}."):
            blocks, name = stream.blocks, metric.removeprefix(stream.name).removeprefix(".") or "latency"
    return _of_blocks(load, blocks, name, statistic)


def _of_blocks(load: LoadResult, blocks: Sequence[LoadBlock], name: str, statistic: str) -> Reading | None:
    seconds = sum(block.duration_s for block in blocks)
    sent, failed = sum(block.sent for block in blocks), sum(block.failed for block in blocks)
    dropped = sum(block.dropped for block in blocks)
    if not blocks:
        return None
    if name == "latency":
        whole = latency_side(load).whole if blocks is load.blocks else _merged(blocks)
        return _time(whole, statistic)
    if name == "service":
        service = load.service
        return _time(Counted(service), statistic) if service is not None and blocks is load.blocks else None
    if name == "errors":
        return _count(statistic, sent, failed, seconds)
    if name == "dropped":
        return _count(statistic, sent + dropped, dropped, seconds)
    if name in ("requests", "throughput") and seconds > 0:
        good = sent if name == "requests" else sent - failed
        if statistic in ("rate", "value"):
            return Reading(good / seconds, "1/s")
        return Reading(good, "requests") if statistic == "count" else None
    return None


def _merged(blocks: Sequence[LoadBlock]) -> Sample:
    from dbtune.baseline.histogram import merge

    return Counted(merge(block.response for block in blocks))


def _time(sample: Sample, statistic: str) -> Reading | None:
    if not sample.count:
        return None
    if statistic == "count":
        return Reading(sample.count, "requests")
    if statistic == "avg":
        value, share = sample.mean(), 0.5
    else:
        share = {"min": 0.0, "max": 1.0, "med": 0.5}.get(statistic, -1.0)
        if share < 0:
            if not statistic.startswith("p"):
                return None
            share = float(statistic[1:]) / 100
        value = sample.quantile(share)
    if value is None:
        return None
    needed = statistics.samples_needed(share) if 0 < share < 1 else 0
    note = f"{sample.count} samples are too few to bound it: {needed} do" if sample.count < needed else None
    return Reading(value, "s", note)


def _count(statistic: str, of: int, count: int, seconds: float | None) -> Reading | None:
    """`rate` is a share, as k6 counts failures."""
    if statistic in ("rate", "value"):
        return Reading(count / of, "share") if of else None
    return Reading(count, "requests") if statistic == "count" and seconds is not None else None


class _Counters:
    """Readings from the servers' counters, worked out when the first is asked for."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._known: dict[str, Reading] | None = None

    def __call__(self, name: str) -> Reading | None:
        if self._known is None:
            self._known = dict(_counter_readings(self._capture))
        return self._known.get(name)


def _counter_readings(capture: Capture) -> Iterator[tuple[str, Reading]]:
    rates, _ = redis_hit_rates(capture)
    if rates:
        yield "redis.hit_rate", Reading(statistics.mean(rates), "share")
    windows, _ = database_windows(capture)
    transactions, blocks = sum(part.transactions for part in windows), sum(part.blocks for part in windows)
    if transactions:
        rolled_back, spilled = sum(part.rollbacks for part in windows), sum(part.temp_bytes for part in windows)
        yield "database.rollbacks", Reading(rolled_back / transactions, "share")
        yield "database.blocks_per_transaction", Reading(blocks / transactions, "blocks")
        yield "database.temp_per_transaction", Reading(spilled / transactions, "B")
        yield "database.deadlocks", Reading(sum(part.deadlocks for part in windows), "deadlocks")
    if blocks:
        yield "database.buffer_hits", Reading(sum(part.blocks_hit for part in windows) / blocks, "share")
    yield from _statement_readings(capture)
    for plan in capture.plans:
        root = plan.plan.get("Plan")
        if isinstance(root, Mapping) and isinstance(root.get("Total Cost"), int | float):
            scans = sum(node.get("Node Type") == "Seq Scan" for node in nodes(dict(plan.plan)))
            yield f"plan.{plan.name}.cost", Reading(float(root["Total Cost"]), "units")
            yield f"plan.{plan.name}.seq_scans", Reading(scans, "scans")


def _statement_readings(capture: Capture) -> Iterator[tuple[str, Reading]]:
    """Of top-level statements: the whole, and each by its queryid."""
    found = statement_windows(capture)
    if found.invalid is not None or found.seconds <= 0:
        return
    calls: dict[str, int] = {}
    spent: dict[str, float] = {}
    blocks: dict[str, int] = {}
    for window in found.windows:
        for key, delta in window.deltas.items():
            if key.toplevel is not False:
                calls[key.queryid] = calls.get(key.queryid, 0) + delta.calls
                spent[key.queryid] = spent.get(key.queryid, 0.0) + delta.exec_ms / 1000
                blocks[key.queryid] = blocks.get(key.queryid, 0) + delta.blocks
    yield "statements.calls_per_s", Reading(sum(calls.values()) / found.seconds, "1/s")
    yield "statements.time_per_s", Reading(sum(spent.values()) / found.seconds, "s")
    for queryid, number in calls.items():
        if number > 0:
            yield f"statement.{queryid}.calls_per_s", Reading(number / found.seconds, "1/s")
            yield f"statement.{queryid}.time_per_call", Reading(spent[queryid] / number, "s")
            yield f"statement.{queryid}.blocks_per_call", Reading(blocks[queryid] / number, "blocks")
