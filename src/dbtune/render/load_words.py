"""What the forms of a load's report have in common: words, figures as text, tones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.baseline.histogram import Histogram, quantile
from dbtune.baseline.load_result import LoadResult
from dbtune.baseline.outcome import Gate
from dbtune.core.units import format_duration, format_size
from dbtune.load.report import LoadOutcome, LoadReport

WORDS = {"passed": "passed", "failed": "failed", "measured": "measured, nothing was expected"}
TONES = {"passed": "good", "failed": "bad", "measured": "same"}
PERCENTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
FEW = (0.5, 0.95, 0.99)
"""What fits beside everything else on 80 columns."""
NOTHING = "–"


def time(value_s: float | None) -> str:
    # pgbench counts whole microseconds: of 0 no digit is known.
    return NOTHING if value_s is None else format_duration(value_s) if value_s else "0µs"


def percentile(histogram: Histogram, share: float) -> str:
    return time(quantile(histogram, share))


def mean(histogram: Histogram) -> str:
    return time(histogram.mean_s if histogram.count else None)


def percentile_name(share: float) -> str:
    return f"P{share * 100:g}"


def rate(count: float, seconds: float) -> str:
    return f"{number(count / seconds)}/s" if seconds > 0 else NOTHING


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def share(part: int, whole: int) -> str:
    if whole <= 0:
        return NOTHING
    value = part / whole
    return f"{value:.2%}" if value == 0 or value >= 0.0001 else "< 0.01%"


def headline(outcome: LoadOutcome) -> str:
    """`151,204 requests in 30.0s, 5,040/s, P95 1.20ms, 0.00% failed`"""
    result = outcome.result
    parts = [
        f"{result.sent:,} requests in {format_duration(result.duration_s)}",
        rate(result.sent - result.failed, result.duration_s),
        f"P95 {percentile(result.response, 0.95)}",
        f"{share(result.failed, result.sent)} failed",
    ]
    if result.mode == "open":
        parts.append(f"{result.dropped:,} dropped")
    return ", ".join(parts)


def engine(outcome: LoadOutcome) -> str:
    version = f" {outcome.engine_version}" if outcome.engine_version else ""
    workers = f", {outcome.result.workers} workers" if outcome.result.workers > 1 else ""
    return f"{outcome.result.engine}{version}, {outcome.result.loop}{workers}"


def gate_value(gate: Gate, value: float | None) -> str:
    """A value or a limit in the gate's unit."""
    if value is None:
        return NOTHING
    if gate.unit == "s":
        return format_duration(value)
    if gate.unit == "share":
        return f"{value:.2%}"
    if gate.unit == "B":
        return format_size(value)
    if gate.unit == "1/s":
        return f"{number(value)}/s"
    return number(value)


def wording(report: LoadReport) -> str:
    """Who made it: one of several workers, the merger of several, or nobody worth a word."""
    if report.worker is not None:
        return f"worker {report.worker[0]} of {report.worker[1]}: merge the results of all before you judge"
    if report.merged:
        return f"{report.merged} worker{'' if report.merged == 1 else 's'}, merged"
    return ""


def failing(outcome: LoadOutcome) -> Sequence[str]:
    """Why the verdict is failed, the gravest first."""
    gates = [(found.key, found.gate) for found in outcome.thresholds if not found.gate.ok]
    missed = [
        f"missed: {key}: {gate.expression} ({'no data' if gate.value is None else gate_value(gate, gate.value)})"
        for key, gate in gates
    ]
    return (*outcome.broken, *missed)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the figures: the whole, its service time, or one script. `sent` None: counted elsewhere."""

    title: str
    sent: int | None
    failed: int
    seconds: float
    times: Histogram

    @property
    def per_s(self) -> str:
        return "" if self.sent is None else rate(self.sent - self.failed, self.seconds)

    @property
    def sent_text(self) -> str:
        return "" if self.sent is None else f"{self.sent:,}"

    @property
    def failed_text(self) -> str:
        return "" if self.sent is None else f"{self.failed:,}"

    @property
    def most(self) -> str:
        return time(self.times.high_s if self.times.count else None)


def rows(result: LoadResult) -> tuple[Row, ...]:
    """The whole, in an open loop its service time, and each script where there are several."""
    service = result.service
    found = [
        Row("all" if service is None else "response", result.sent, result.failed, result.duration_s, result.response)
    ]
    if service is not None:
        found.append(Row("service", None, 0, result.duration_s, service))
    if len(result.streams) > 1:
        found += [
            Row(
                stream.name,
                sum(block.sent for block in stream.blocks),
                sum(block.failed for block in stream.blocks),
                result.duration_s,
                stream.response,
            )
            for stream in result.streams
        ]
    return tuple(found)
