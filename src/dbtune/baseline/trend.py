"""One figure over many captures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dbtune.baseline import statistics
from dbtune.baseline.capture import Capture
from dbtune.baseline.gates import parse_subject
from dbtune.baseline.readings import readings

SCHEMA = "dbtune.baseline.trend/1"
_MIN_HISTORY = 5
_DEVIATIONS = 3.0
_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    name: str
    started_at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Oldest first. `missing` are captures that did not measure it, `others` those of another database.

    `unusual`: the newest value lies further from the median of the earlier ones than three robust deviations;
    None with fewer than five earlier ones. It is a hint where to look, not a verdict.
    """

    metric: str
    unit: str | None
    points: tuple[TrendPoint, ...]
    missing: tuple[str, ...]
    others: tuple[str, ...]
    median: float | None
    unusual: bool | None


def trend(metric: str, captures: Sequence[Capture]) -> Trend:
    """Over the captures of the newest one's database. Raises GateSyntaxError for what is no metric."""
    subject, statistic = parse_subject(metric)
    ordered = sorted(captures, key=lambda capture: capture.started_at)
    home = _home(ordered[-1]) if ordered else None
    points, missing, others, unit = [], [], [], None
    for capture in ordered:
        if _home(capture) != home:
            others.append(capture.name)
            continue
        found = readings(capture)(subject, statistic)
        if found is None or (unit is not None and found.unit != unit):
            missing.append(capture.name)
            continue
        unit = found.unit
        points.append(TrendPoint(capture.name, capture.started_at, found.value))
    values = [point.value for point in points]
    return Trend(
        metric=metric,
        unit=unit,
        points=tuple(points),
        missing=tuple(missing),
        others=tuple(others),
        median=statistics.median(values) if values else None,
        unusual=_unusual(values),
    )


def _home(capture: Capture) -> tuple[str, str | None, str | None]:
    print_ = capture.fingerprint
    return print_.database, print_.system_identifier, capture.imported


def _unusual(values: Sequence[float]) -> bool | None:
    earlier = values[:-1]
    if len(earlier) < _MIN_HISTORY:
        return None
    center = statistics.median(earlier)
    deviation = statistics.median([abs(value - center) for value in earlier]) * _TO_SIGMA
    return abs(values[-1] - center) > _DEVIATIONS * max(deviation, abs(center) * 0.01)
