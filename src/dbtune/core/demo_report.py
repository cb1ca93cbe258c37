"""What `dbtune demo` found: three measurements of one application, and the targets that such a project sets itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["duration", "rate", "share", "count", "per_request"]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds, of answered requests; None where there are too few for the quantile to mean anything."""

    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """One endpoint in one measurement. `requests` counts failed ones too."""

    name: str
    title: str
    latencies: Latencies
    requests: int
    requests_per_s: float
    errors: int
    statements_per_request: float


@dataclass(frozen=True, slots=True)
class ProbeFigures:
    """One thing measured by itself, `times` over: the median and all of its times in seconds."""

    name: str
    title: str
    median_s: float
    times: int
    statements_per_request: float
    errors: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the three measurements. `latencies_s` holds every answered request of the traffic."""

    name: str
    title: str
    duration_s: float
    overall: Latencies
    endpoints: tuple[EndpointFigures, ...]
    probes: tuple[ProbeFigures, ...]
    requests: int
    errors: int
    hits: int
    misses: int
    latencies_s: Sequence[float]

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.duration_s

    @property
    def hit_rate(self) -> float | None:
        looked_up = self.hits + self.misses
        return self.hits / looked_up if looked_up else None

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.requests if self.requests else None

    def probe(self, name: str) -> ProbeFigures:
        return next(probe for probe in self.probes if probe.name == name)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the playbooks did: indexes built one after the other, keys warmed, and how long each took in all."""

    indexes: int
    index_build_s: float
    index_size_bytes: int
    warmed_keys: int
    warm_s: float
    playbooks: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """One target as a gate between the first and the last measurement, in the grammar of `gate` steps."""

    expression: str
    ok: bool
    value: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class DemoReport:
    """`stages` are as found, after the playbooks, after the code fixes."""

    target: str
    started_at: datetime
    duration_s: float
    scale: float
    rows: int
    size_bytes: int
    load_s: float
    clients: int
    stages: tuple[Stage, Stage, Stage]
    tuning: Tuning
    gates: tuple[GateAnswer, ...] = ()
    report_path: str | None = None
    baselines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of targets. `values` are those of the stages, None where a stage has none.

    `reached` is what is held against `goal`, in words; empty where a value itself is.

    `met` is None when the figure could not be measured.
    """

    label: str
    kind: Kind
    values: tuple[float | None, float | None, float | None]
    goal: str
    reached: str
    met: bool | None


def outcomes(report: DemoReport) -> tuple[Outcome, ...]:
    """Every target against what was measured in this run, met or missed as it is."""
    return (
        _less("P50 of all requests", report, 0.79, lambda stage: stage.overall.p50_s),
        _less("P95 of all requests", report, 0.74, lambda stage: stage.overall.p95_s),
        _less("P99 of all requests", report, 0.65, lambda stage: stage.overall.p99_s),
        _less("Recommendation query", report, 0.95, lambda stage: stage.probe("recommendation-query").median_s),
        _less("Batch update of 1000", report, 0.96, lambda stage: stage.probe("score-update").median_s),
        _less("Course status", report, 0.96, lambda stage: stage.probe("course-status").median_s),
        _statements(report),
        _throughput(report),
        _hit_rate(report),
        _errors(report),
        _build(report.tuning),
        _warm(report.tuning),
    )


Values = tuple[float | None, float | None, float | None]


def _values(report: DemoReport, figure: Callable[[Stage], float | None]) -> Values:
    first, second, third = (figure(stage) for stage in report.stages)
    return first, second, third


def _less(label: str, report: DemoReport, share: float, figure: Callable[[Stage], float | None]) -> Outcome:
    values = _values(report, figure)
    goal = f"−{share:.0%}"
    before, after = values[0], values[2]
    if before is None or after is None or before <= 0:
        return Outcome(label, "duration", values, goal, "too few", met=None)
    change = after / before - 1
    return Outcome(label, "duration", values, goal, _percent(change), met=change <= -share)


def _statements(report: DemoReport) -> Outcome:
    values = _values(report, lambda stage: stage.probe("course-status").statements_per_request)
    before, after = values[0] or 0, values[2] or 0
    return Outcome("SQL per course status", "per_request", values, "", f"{before:.0f} → {after:.0f}", met=None)


def _throughput(report: DemoReport) -> Outcome:
    values = _values(report, lambda stage: stage.requests_per_s)
    before, after = values[0], values[2]
    times = after / before if before and after else 0.0
    return Outcome("Requests per second", "rate", values, "×5", f"×{times:.1f}", met=times >= 5)


def _hit_rate(report: DemoReport) -> Outcome:
    values = _values(report, lambda stage: stage.hit_rate)
    after = values[2]
    reached = "too few" if after is None else ""
    return Outcome("Cache hit rate", "share", values, "> 80%", reached, met=None if after is None else after > 0.8)


def _errors(report: DemoReport) -> Outcome:
    values = _values(report, lambda stage: stage.error_rate)
    after = values[2]
    reached = "too few" if after is None else ""
    return Outcome("Errors", "share", values, "< 0.1%", reached, met=None if after is None else after < 0.001)


def _build(tuning: Tuning) -> Outcome:
    met = tuning.indexes >= 40 and tuning.index_build_s < 30
    values = (None, tuning.index_build_s, None)
    return Outcome(f"Building {tuning.indexes} indexes", "duration", values, "40 in 30s", "", met=met)


def _warm(tuning: Tuning) -> Outcome:
    values = (None, tuning.warm_s, None)
    return Outcome(f"Warming {tuning.warmed_keys:,} keys", "duration", values, "< 10s", "", met=tuning.warm_s < 10)


def _percent(change: float) -> str:
    if change > 1:
        return f"×{1 + change:,.1f}"
    digits = 1 if abs(change) > 0.9 else 0
    return f"{change:+.{digits}%}".replace("-", "−")
