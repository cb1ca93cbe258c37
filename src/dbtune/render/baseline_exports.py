"""A baseline for other tools: Bencher, github-action-benchmark, Prometheus's textfile collector.

Exact forms: https://bencher.dev/docs/reference/bencher-metric-format/,
https://github.com/benchmark-action/github-action-benchmark, and the exposition format of Prometheus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dbtune.baseline.capture import Capture
from dbtune.baseline.loads import latency_side
from dbtune.baseline.readings import readings
from dbtune.baseline.samples import Side, side_of_histograms, side_of_values
from dbtune.baseline.statistics import mean

Form = Literal["json", "markdown", "bencher", "benchmark", "prometheus"]
FORMS: tuple[Form, ...] = ("json", "markdown", "bencher", "benchmark", "prometheus")
_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
_COUNTERS = ("redis.hit_rate", "database.buffer_hits", "database.rollbacks", "statements.time_per_s")


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of a capture with its 95 % interval, where it has one."""

    subject: str
    measure: str
    unit: str
    better: Literal["lower", "higher"]
    value: float
    low: float | None = None
    high: float | None = None


def points(capture: Capture) -> Iterator[Point]:
    """Every figure that can be held against another capture's."""
    for load in capture.loads:
        name = load.name
        yield from _latency(name, latency_side(load))
        for stream in load.streams if len(load.streams) > 1 else ():
            parts = [(block.stage, block.response, block.timed) for block in stream.blocks]
            side = side_of_histograms(parts, load.engine)
            yield from _latency(f"{name}.{stream.name}", side)
        if load.duration_s > 0:
            yield Point(name, "throughput", "1/s", "higher", (load.sent - load.failed) / load.duration_s)
        if load.sent:
            yield Point(name, "errors", "share", "lower", load.failed / load.sent)
    for timing in capture.timings:
        yield from _latency(timing.name, side_of_values(timing.blocks, timing.engine))
    for figure in capture.figures:
        if figure.blocks:
            yield Point(figure.name, "value", figure.unit, figure.better, mean(figure.blocks))
    read = readings(capture)
    for counter in _COUNTERS:
        found = read(counter, "value")
        if found is not None:
            better: Literal["lower", "higher"] = "higher" if "hit" in counter else "lower"
            yield Point(counter, "value", found.unit, better, found.value)


def render(capture: Capture, form: Form) -> str:
    """In the form of another tool. `json` and `markdown` are dbtune's own."""
    if form == "json":
        from dbtune.baseline.document import to_json

        return to_json(capture)
    if form == "markdown":
        return _markdown(capture)
    return {"bencher": _bencher, "benchmark": _benchmark, "prometheus": _prometheus}[form](capture)


def _latency(subject: str, side: Side) -> Iterator[Point]:
    for label, share in _QUANTILES:
        value, interval = side.whole.quantile(share), side.whole.interval(share)
        # Without a bound it is a guess: a tail of few calls is not exported.
        if value is not None and (interval is not None or share == 0.5):
            yield Point(
                subject, f"latency_{label}", "s", "lower", value,
                interval.low if interval else None, interval.high if interval else None,
            )  # fmt: skip


def _bencher(capture: Capture) -> str:
    """Latencies in nanoseconds, as Bencher's built-in measure has them; the others under their own names."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for point in points(capture):
        scale = 1e9 if point.unit == "s" else 1.0
        measure = {"latency_p50": "latency"}.get(point.measure, point.measure)
        entry = {"value": point.value * scale}
        if point.low is not None and point.high is not None:
            entry |= {"lower_value": point.low * scale, "upper_value": point.high * scale}
        found.setdefault(point.subject, {})[measure] = entry
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _benchmark(capture: Capture) -> str:
    """`customSmallerIsBetter`: only what is better when smaller; milliseconds."""
    entries = []
    for point in points(capture):
        if point.better != "lower":
            continue
        scale, unit = (
            (1000.0, "ms") if point.unit == "s" else (100.0, "%") if point.unit == "share" else (1.0, point.unit)
        )
        entry: dict[str, object] = {
            "name": f"{point.subject} {point.measure}".removesuffix(" value"),
            "unit": unit,
            "value": point.value * scale,
            "extra": f"{capture.name} of {capture.target}",
        }
        if point.low is not None and point.high is not None:
            entry["range"] = f"{point.low * scale:.6g} to {point.high * scale:.6g}"
        entries.append(entry)
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _prometheus(capture: Capture) -> str:
    """Base units, one family a unit; never a statement's text as a label. Written whole, and renamed, by --output."""
    families: dict[str, list[str]] = {}
    help_of: dict[str, str] = {}
    for point in points(capture):
        name, words = _family(point)
        labels = {"baseline": capture.name, "subject": point.subject}
        if point.measure.startswith("latency_p"):
            labels["quantile"] = str(int(point.measure.removeprefix("latency_p")) / 100)
        text = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
        families.setdefault(name, []).append(f"{name}{{{text}}} {point.value!r}")
        help_of[name] = words
    name = "dbtune_baseline_started_timestamp_seconds"
    families[name] = [f'{name}{{baseline="{_escaped(capture.name)}"}} {capture.started_at.timestamp()!r}']
    help_of[name] = "When the baseline was captured."
    lines = []
    for family, rows in families.items():
        lines += [f"# HELP {family} {help_of[family]}", f"# TYPE {family} gauge", *rows]
    return "\n".join(lines) + "\n"


def _family(point: Point) -> tuple[str, str]:
    if point.measure.startswith("latency"):
        return "dbtune_baseline_latency_seconds", "Latency at a quantile."
    if point.measure == "throughput":
        return "dbtune_baseline_requests_per_second", "Requests that succeeded, per second."
    if point.measure == "errors":
        return "dbtune_baseline_errors_ratio", "Share of the requests that failed."
    if point.unit == "share":
        return "dbtune_baseline_ratio", "A share between 0 and 1."
    if point.unit == "s":
        return "dbtune_baseline_seconds", "A time."
    unit = re.sub(r"[^a-z0-9]+", "_", point.unit.lower()).strip("_") or "value"
    return f"dbtune_baseline_{unit}", f"Measured in {point.unit}."


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _markdown(capture: Capture) -> str:
    from dbtune.render import baseline_words as words
    from dbtune.render.text import markdown

    lines = [f"## {markdown(capture.name)} of {markdown(capture.target)}", "", "| figure | value | 95 % interval |",
             "|---|---:|---|"]  # fmt: skip
    for point in points(capture):
        bounds = words.NOT_KNOWN
        if point.low is not None and point.high is not None:
            bounds = f"{words.value(point.low, point.unit)} to {words.value(point.high, point.unit)}"
        name = f"{point.subject} {point.measure}".removesuffix(" value").replace("_", " ")
        lines.append(f"| {markdown(name)} | {words.value(point.value, point.unit)} | {bounds} |")
    return "\n".join(lines) + "\n"
