"""The course of a load as coordinates, for the SVG macros of `templates/load.html`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbtune.baseline.histogram import quantile
from dbtune.baseline.histogram import sample as sampled
from dbtune.baseline.load_result import LoadMoment, LoadResult
from dbtune.core.units import format_duration
from dbtune.render.charts import Tick, round_times, time_ticks
from dbtune.render.load_words import number

_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 510.0, 8.0, 168.0
_MOST_TABLE_ROWS = 60
SLOW_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Line:
    """`kind` is a class of the style sheet."""

    label: str
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Course:
    """Lines over time. `levels` are (y, label) of the left axis."""

    id: str
    title: str
    description: str
    lines: tuple[Line, ...]
    levels: tuple[tuple[float, str], ...]
    ticks: tuple[Tick, ...]
    left: float = _LEFT
    right: float = _RIGHT
    bottom: float = _BOTTOM
    height: float = _BOTTOM + 26


Scale = Callable[[float], float]


def latency_course(series: Sequence[LoadMoment], chart_id: str) -> Course | None:
    """P50, P95 and P99 over time, logarithmic. None without two moments that have a time."""
    points = {
        "P50": [(_middle(moment), moment.p50_s or None) for moment in series],
        "P95": [(_middle(moment), moment.p95_s or None) for moment in series],
        "P99": [(_middle(moment), moment.p99_s or None) for moment in series],
    }
    known = [value for line in points.values() for _, value in line if value]
    if len(known) < 6:
        return None
    low, high = min(known), max(known)
    low, high = (low / 1.5, high * 1.5) if high / low < 3 else (low / 1.2, high * 1.2)
    across, up = _time_scale(series), _log_scale(low, high)
    kinds = {"P50": "after line", "P95": "before line", "P99": "before thin"}
    worst = max((moment for moment in series if moment.p99_s), key=lambda moment: moment.p99_s or 0.0)
    return Course(
        chart_id,
        "Response times over the load",
        f"P99 was highest at {format_duration(_middle(worst))}, with {format_duration(worst.p99_s or 0.0)}.",
        tuple(Line(name, kinds[name], _path(line, across, up)) for name, line in points.items()),
        tuple((up(value), format_duration(value)) for value in round_times(low, high)),
        _ticks(series, across),
    )


def rate_course(series: Sequence[LoadMoment], chart_id: str) -> Course | None:
    """Requests per second over time, and those that failed. None without two moments."""
    if len(series) < 2:
        return None
    most = max(moment.rate + moment.failed_rate for moment in series) or 1.0
    across, up = _time_scale(series), _linear_scale(most * 1.05)
    lines = [Line("succeeded", "after line", _path([(_middle(m), m.rate) for m in series], across, up))]
    if any(moment.failed_rate for moment in series):
        failed = [(_middle(moment), moment.failed_rate) for moment in series]
        lines.append(Line("failed", "before line", _path(failed, across, up)))
    mean = math.fsum(moment.rate * moment.duration_s for moment in series) / math.fsum(m.duration_s for m in series)
    return Course(
        chart_id,
        "Requests per second over the load",
        f"{number(mean)} per second on average, {number(most)} at the most.",
        tuple(lines),
        tuple((up(most * part), number(most * part)) for part in (0.0, 0.5, 1.0)),
        _ticks(series, across),
    )


def clients_course(series: Sequence[LoadMoment], chart_id: str) -> Course | None:
    """Clients over time. None where their number never changes."""
    levels = [(_middle(moment), moment.clients) for moment in series if moment.clients is not None]
    if len({value for _, value in levels}) < 2:
        return None
    most = max(value for _, value in levels)
    across, up = _time_scale(series), _linear_scale(most * 1.05)
    return Course(
        chart_id,
        "Clients over the load",
        f"{number(most)} clients at the most.",
        (Line("clients", "after line", _path(levels, across, up)),),
        tuple((up(most * part), number(most * part)) for part in (0.0, 0.5, 1.0)),
        _ticks(series, across),
    )


def distribution(result: LoadResult, chart_id: str) -> Course | None:
    """How many percent took at most so long: response and, in an open loop, service time."""
    sides = [("response", "before line", result.response)]
    if result.service is not None:
        sides.append(("service", "after line", result.service))
    values = {name: [value for value in sampled(histogram) if value > 0] for name, _, histogram in sides}
    if any(len(found) < 2 for found in values.values()):
        return None
    low, high = min(found[0] for found in values.values()), max(found[-1] for found in values.values())
    low, high = low / 1.3, high * 1.3
    across, up = _log_across(low, high), _linear_scale(1.0)
    half = quantile(result.response, 0.5) or 0.0
    slow = quantile(result.response, SLOW_SHARE) or 0.0
    return Course(
        chart_id,
        "Distribution of the times",
        f"Half took at most {format_duration(half)}, 95 % at most {format_duration(slow)}.",
        tuple(
            Line(name, kind, _path([(v, (n + 1) / len(values[name])) for n, v in enumerate(values[name])], across, up))
            for name, kind, _ in sides
        ),
        tuple((up(part), f"{part:.0%}") for part in (0.0, 0.25, 0.5, 0.75, 1.0)),
        time_ticks(low, high, across),
    )


def table(series: Sequence[LoadMoment]) -> tuple[LoadMoment, ...]:
    """The series, thinned to what one reads: of neighbours the one with the highest P95 stays."""
    count = min(len(series), _MOST_TABLE_ROWS)
    groups = [series[place * len(series) // count : (place + 1) * len(series) // count] for place in range(count)]
    return tuple(max(group, key=lambda moment: moment.p95_s or 0.0) for group in groups)


def _middle(moment: LoadMoment) -> float:
    return moment.offset_s + moment.duration_s / 2


def _time_scale(series: Sequence[LoadMoment]) -> Scale:
    end_s = max(series[-1].offset_s + series[-1].duration_s, 1e-9)
    return lambda value: round(_LEFT + (_RIGHT - _LEFT) * value / end_s, 1)


def _linear_scale(most: float) -> Scale:
    return lambda value: round(_BOTTOM - (_BOTTOM - _TOP) * value / most, 1)


def _log_scale(low: float, high: float) -> Scale:
    span = math.log(high) - math.log(low)
    return lambda value: round(_BOTTOM - (_BOTTOM - _TOP) * (math.log(value) - math.log(low)) / span, 1)


def _log_across(low: float, high: float) -> Scale:
    span = math.log(high) - math.log(low)
    return lambda value: round(_LEFT + (_RIGHT - _LEFT) * (math.log(value) - math.log(low)) / span, 1)


def _path(points: Sequence[tuple[float, float | None]], across: Scale, up: Scale) -> str:
    """A gap where nothing was measured."""
    parts, drawing = [], False
    for x, y in points:
        if y is not None:
            parts.append(f"{'L' if drawing else 'M'}{across(x)},{up(y)}")
        drawing = y is not None
    return "".join(parts)


def _ticks(series: Sequence[LoadMoment], across: Scale) -> tuple[Tick, ...]:
    end_s = series[-1].offset_s + series[-1].duration_s
    return tuple(
        Tick(across(end_s * part), format_duration(end_s * part) if part else "0", anchor)
        for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
