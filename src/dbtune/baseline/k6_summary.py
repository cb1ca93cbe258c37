"""k6's end-of-test summary in its three shapes, as figures.

1. `--summary-export`: `metrics.NAME` flat, thresholds `{expression: failed}`, where true means FAILED;
2. `handleSummary`: `metrics.NAME.values`, thresholds `{expression: {ok}}`;
3. `--new-machine-readable-summary` (1.5): `version`, `results.metrics` a list, no thresholds.

A summary holds no samples: percentiles can be held against limits, and no verdict can be given between two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dbtune.baseline.capture import Better, Capture, Figure, Skipped
from dbtune.baseline.importing import imported
from dbtune.core.errors import Misused

_NAMES = {"http_req_duration": "latency", "http_req_failed": "errors", "http_reqs": "requests",
          "dropped_iterations": "dropped"}  # fmt: skip
_TIMES = (
    "http_req_",
    "iteration_duration",
    "group_duration",
    "grpc_req_duration",
    "ws_connecting",
    "ws_session_duration",
)
_HIGHER = ("http_reqs", "iterations", "checks", "data_")
_STATISTICS = ("avg", "min", "max", "med", "count", "rate", "value")


def is_summary(document: Mapping[str, Any]) -> bool:
    return shape(document) is not None


def shape(document: Mapping[str, Any]) -> int | None:
    """Which of the three; None for another document."""
    results = document.get("results")
    if "version" in document and isinstance(results, Mapping) and isinstance(results.get("metrics"), list):
        return 3
    metrics = document.get("metrics")
    if not isinstance(metrics, Mapping) or not all(isinstance(metric, Mapping) for metric in metrics.values()):
        return None
    return 2 if any("values" in metric for metric in metrics.values()) else 1


def from_summary(name: str, document: Mapping[str, Any], source: str) -> Capture:
    """Raises Misused for a document of another shape, or a number that cannot be."""
    kind = shape(document)
    if kind is None:
        raise Misused(
            f"{source} is no summary of k6: neither `metrics` nor `version` with `results` are there",
            hint="write one with k6 run --summary-export FILE, or the samples with --out json=FILE",
        )
    figures = tuple(
        figure for metric in _metrics(document, kind) for figure in _figures(*metric, kind=kind, source=source)
    )
    if not figures:
        raise Misused(f"{source} is a summary of k6 without a metric", hint="name the summary of a run that ended")
    state = document.get("state")
    duration = state.get("testRunDurationMs") if isinstance(state, Mapping) else None
    return imported(
        name, "k6", source,
        figures=figures,
        duration_s=duration / 1000 if isinstance(duration, int | float) and 0 <= duration < math.inf else 0.0,
        skipped=(
            Skipped("samples", f"{source} is a summary: it holds no samples, and two of them no verdict",
                    "import the samples of k6 run --out json=FILE"),
        ),
    )  # fmt: skip


def _metrics(document: Mapping[str, Any], kind: int) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(name, values, the whole metric)."""
    if kind == 3:
        for metric in document["results"]["metrics"]:
            if isinstance(metric, Mapping) and isinstance(metric.get("values"), Mapping):
                yield str(metric.get("name", "?")), metric["values"], metric
        return
    for name, metric in document["metrics"].items():
        values = metric.get("values") if kind == 2 else metric
        if isinstance(values, Mapping):
            yield str(name), values, metric


def _figures(
    name: str, values: Mapping[str, Any], metric: Mapping[str, Any], *, kind: int, source: str
) -> Iterator[Figure]:
    is_rate = metric.get("type") == "rate" if kind > 1 else "passes" in values or "fails" in values
    is_time = metric.get("contains") == "time" if kind > 1 else name.startswith(_TIMES)
    better: Better = "higher" if name.startswith(_HIGHER) else "lower"
    for statistic, value in values.items():
        told = _statistic(str(statistic), is_rate=is_rate)
        # k6 writes null for what had no sample.
        if told is None or value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Misused(f"{source}: {name}.{statistic} is {value!r}, no number", hint="was it written by k6 itself?")
        if not math.isfinite(value):
            raise Misused(f"{source}: {name}.{statistic} is {value}, which cannot be measured", hint="run k6 again")
        unit, number = _unit(told, float(value), is_rate=is_rate, is_time=is_time)
        if unit == "s" and number < 0:
            raise Misused(f"{source}: {name}.{statistic} is a negative time", hint="run k6 again")
        yield Figure(f"{_NAMES.get(name, name)}.{told}", unit, better, (number,), "k6")
    thresholds = metric.get("thresholds")
    for expression, outcome in thresholds.items() if isinstance(thresholds, Mapping) else ():
        ok = bool(outcome.get("ok")) if isinstance(outcome, Mapping) else outcome is False
        yield Figure(f"threshold {name}: {expression}", "share", "higher", (float(ok),), "k6", exact=True)


def _statistic(text: str, *, is_rate: bool) -> str | None:
    if text.startswith("p(") and text.endswith(")"):
        return f"p{text[2:-1]}"
    if is_rate:
        return "rate" if text in ("rate", "value") else None
    return text if text in _STATISTICS else None


def _unit(statistic: str, value: float, *, is_rate: bool, is_time: bool) -> tuple[str, float]:
    if is_rate:
        return "share", value
    if statistic == "count":
        return "requests", value
    if statistic == "rate":
        return "1/s", value
    return ("s", value / 1000) if is_time else ("units", value)
