"""A load over time as coordinates for the SVG macro: its rate, and its latency, before and after."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbtune.baseline.load_result import LoadMoment
from dbtune.baseline.outcome import LoadPair
from dbtune.core.units import format_duration
from dbtune.render.baseline_words import duration
from dbtune.render.charts import Tick

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 510.0, 12.0, 132.0
_MOST, _ROWS = 240, 12
Value = Callable[[LoadMoment], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table beside a chart, as words."""

    at: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One figure over time. `before` and `after` are SVG paths, empty without data."""

    id: str
    title: str
    description: str
    height: float
    left: float
    bottom: float
    before: str
    after: str
    ticks: tuple[Tick, ...]
    levels: tuple[tuple[float, str], ...]
    rows: tuple[Row, ...]


def timelines(pair: LoadPair, number: int) -> tuple[Timeline, ...]:
    """Throughput and P99 (P95 where no P99 is known). Empty without a time series on either side."""
    if not pair.before.series and not pair.after.series:
        return ()
    tail, label = _tail(pair)
    made = (
        _timeline(f"rate{number}", "Requests per second", pair, lambda moment: moment.rate, _number),
        _timeline(f"tail{number}", f"{label} of the latency", pair, tail, duration),
    )
    return tuple(one for one in made if one is not None)


def _tail(pair: LoadPair) -> tuple[Value, str]:
    if any(moment.p99_s is not None for side in (pair.before, pair.after) for moment in side.series):
        return (lambda moment: moment.p99_s), "P99"
    return (lambda moment: moment.p95_s), "P95"


def _timeline(chart_id: str, title: str, pair: LoadPair, value: Value, say: Callable[[float], str]) -> Timeline | None:
    sides = [_thinned(side.series, value) for side in (pair.before, pair.after)]
    known = [point[1] for side in sides for point in side]
    if not known or max(known) <= 0:
        return None
    end = max(point[0] for side in sides for point in side) or 1.0
    top = _round_up(max(known))

    def place(point: tuple[float, float]) -> str:
        x = _LEFT + point[0] / end * (_RIGHT - _LEFT)
        return f"{x:.1f},{_BOTTOM - point[1] / top * (_BOTTOM - _TOP):.1f}"

    words = [f"{label} between {say(min(v for _, v in side))} and {say(max(v for _, v in side))}"
             for label, side in zip(("before", "after"), sides, strict=True) if side]  # fmt: skip
    return Timeline(
        id=chart_id,
        title=title,
        description=f"{title} over {format_duration(end)}: {'; '.join(words)}.",
        height=_BOTTOM + 24,
        left=_LEFT,
        bottom=_BOTTOM,
        before=_path(sides[0], place),
        after=_path(sides[1], place),
        ticks=_ticks(end),
        levels=tuple((round(_BOTTOM - part * (_BOTTOM - _TOP), 1), say(top * part)) for part in (0.0, 0.5, 1.0)),
        rows=_rows(sides, end, say),
    )


def _thinned(series: Sequence[LoadMoment], value: Value) -> list[tuple[float, float]]:
    """Of neighbours that share a place the largest stays: a stall of a second must not vanish."""
    points = [(moment.offset_s, number) for moment in series if (number := value(moment)) is not None]
    step = math.ceil(len(points) / _MOST) or 1
    return [max(points[start : start + step], key=lambda point: point[1]) for start in range(0, len(points), step)]


def _path(points: Sequence[tuple[float, float]], place: Callable[[tuple[float, float]], str]) -> str:
    return "M" + "L".join(map(place, points)) if points else ""


def _rows(sides: Sequence[Sequence[tuple[float, float]]], end: float, say: Callable[[float], str]) -> tuple[Row, ...]:
    """The largest of each of twelve stretches."""
    rows = []
    for number in range(_ROWS):
        low, high = end * number / _ROWS, end * (number + 1) / _ROWS
        cells = []
        for side in sides:
            inside = [value for at, value in side if low <= at < high or (number == _ROWS - 1 and at == end)]
            cells.append(say(max(inside)) if inside else "–")
        if cells != ["–", "–"]:
            rows.append(Row(f"{format_duration(low)} to {format_duration(high)}", cells[0], cells[1]))
    return tuple(rows)


def _ticks(end: float) -> tuple[Tick, ...]:
    parts = (0.0, 0.25, 0.5, 0.75, 1.0)
    anchors = ("start", "middle", "middle", "middle", "end")
    return tuple(
        Tick(round(_LEFT + part * (_RIGHT - _LEFT), 1), format_duration(end * part) if part else "0", anchor)
        for part, anchor in zip(parts, anchors, strict=True)
    )


def _round_up(value: float) -> float:
    """The next 1, 2, 5 of its power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= value * 0.999999)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"
