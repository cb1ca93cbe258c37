"""Charts as coordinates, for the SVG macros of `templates/charts.html`. Nothing here knows about HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbtune.core.units import format_duration

WIDTH = 520.0
_LEFT, _RIGHT = 10.0, 510.0
_ROW = 46.0
_TOP = 8.0
_CURVE_LEFT, _CURVE_BOTTOM, _CURVE_HEIGHT = 44.0, 210.0, 190.0


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot with its interval; `low` and `high` are equal where there is none."""

    x: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DumbbellRow:
    y: float
    label: str
    note: str
    tone: str
    before: Mark
    after: Mark


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """Before and after of several times on one logarithmic axis."""

    id: str
    title: str
    description: str
    height: float
    axis_y: float
    rows: tuple[DumbbellRow, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What one row of a dumbbell shows, in seconds: (value, low, high) of both sides."""

    label: str
    note: str
    tone: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]


def dumbbell(chart_id: str, title: str, spans: Sequence[Span]) -> Dumbbell | None:
    """None without a positive time to show."""
    spans = [span for span in spans if span.before[0] > 0 and span.after[0] > 0]
    if not spans:
        return None
    every = [edge for span in spans for side in (span.before, span.after) for edge in side if edge > 0]
    low, high = _decades(min(every), max(every))
    place = _LogScale(low, high, _LEFT, _RIGHT)
    rows = tuple(
        DumbbellRow(_TOP + number * _ROW, span.label, span.note, span.tone,
                    _mark(span.before, place), _mark(span.after, place))
        for number, span in enumerate(spans)
    )  # fmt: skip
    words = "; ".join(
        f"{span.label}: {format_duration(span.before[0])} before, {format_duration(span.after[0])} after"
        for span in spans
    )
    axis_y = _TOP + len(spans) * _ROW + 4
    return Dumbbell(chart_id, title, f"{words}.", axis_y + 22, axis_y, rows, time_ticks(low, high, place))


@dataclass(frozen=True, slots=True)
class Curves:
    """Cumulative distributions of both sides: how many percent of the calls took at most so long."""

    id: str
    title: str
    description: str
    height: float
    left: float
    bottom: float
    before: str
    after: str
    ticks: tuple[Tick, ...]
    shares: tuple[tuple[float, str], ...]


def curves(chart_id: str, title: str, before: Sequence[float], after: Sequence[float]) -> Curves | None:
    """Of sorted seconds. None where a side has no positive time."""
    sides = [[value for value in side if value > 0] for side in (before, after)]
    if not all(sides):
        return None
    low, high = _decades(min(side[0] for side in sides), max(side[-1] for side in sides))
    place = _LogScale(low, high, _CURVE_LEFT, _RIGHT)
    halves = [side[len(side) // 2] for side in sides]
    return Curves(
        chart_id,
        title,
        f"Half of the calls took at most {format_duration(halves[0])} before and {format_duration(halves[1])} after;"
        f" the slowest shown took {format_duration(sides[0][-1])} and {format_duration(sides[1][-1])}.",
        _CURVE_BOTTOM + 24,
        _CURVE_LEFT,
        _CURVE_BOTTOM,
        _path(sides[0], place),
        _path(sides[1], place),
        time_ticks(low, high, place),
        tuple((_height(share), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
    )


class _LogScale:
    """Seconds to x."""

    def __init__(self, low: float, high: float, left: float, right: float) -> None:
        self._low, self._factor = math.log(low), (right - left) / (math.log(high) - math.log(low))
        self._left = left

    def __call__(self, seconds: float) -> float:
        return round(self._left + (math.log(seconds) - self._low) * self._factor, 1)


def _decades(low: float, high: float) -> tuple[float, float]:
    """Wide enough for a readable axis: a bit beyond both ends, and at least a factor of four."""
    low, high = low / 1.3, high * 1.3
    if high / low < 4:
        middle = math.sqrt(low * high)
        low, high = middle / 2, middle * 2
    return low, high


def time_ticks(low: float, high: float, place: Callable[[float], float]) -> tuple[Tick, ...]:
    """Labels on an axis of times."""
    return tuple(Tick(place(s), _round_time(s), _anchor(place(s))) for s in round_times(low, high))


def round_times(low: float, high: float) -> tuple[float, ...]:
    """Seconds 1-2-5 between both, thinned to at most six."""
    rounds = [digit * 10.0**power for power in range(-7, 5) for digit in (1, 2, 5)]
    inside = [seconds for seconds in rounds if low <= seconds <= high]
    if len(inside) > 6:
        inside = [
            seconds
            for seconds in inside
            if math.isclose(math.log10(seconds) % 1, 0, abs_tol=1e-6)
            or math.isclose(math.log10(seconds) % 1, 1, abs_tol=1e-6)
        ]
    step = math.ceil(len(inside) / 6) or 1
    return tuple(inside[::step])


def _anchor(x: float) -> str:
    return "start" if x < 30 else "end" if x > WIDTH - 30 else "middle"


def _round_time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= factor * 0.999:
            return f"{seconds / factor:.0f} {unit}"
    return f"{seconds / 1e-6:.1f} µs"


def _mark(side: tuple[float, float, float], place: _LogScale) -> Mark:
    value, low, high = side
    return Mark(place(value), place(low) if low > 0 else place(value), place(high))


def _height(share: float) -> float:
    return round(_CURVE_BOTTOM - share * _CURVE_HEIGHT, 1)


def _path(ordered: Sequence[float], place: _LogScale) -> str:
    """A staircase from the first value at 0 % to the last at 100 %."""
    parts = [f"M{place(ordered[0])},{_height(0)}"]
    for number, seconds in enumerate(ordered, 1):
        parts.append(f"H{place(seconds)}V{_height(number / len(ordered))}")
    return "".join(parts)
