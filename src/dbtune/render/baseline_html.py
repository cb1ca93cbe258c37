"""A comparison as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.baseline.outcome import Comparison, Metric
from dbtune.core.formats import Screen
from dbtune.render import baseline_words as words
from dbtune.render.charts import Curves, Dumbbell, Span, curves, dumbbell
from dbtune.render.page import render_page
from dbtune.render.text import one_line, plain

_STATEMENTS = 200
_ROWS = 12


def render(report: Comparison, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return render_page(
        "baseline.html",
        made_at=report.started_at,
        report=report,
        words=words,
        line=one_line,
        plain=plain,
        statements=report.statements[:_STATEMENTS],
        timings=timing_chart(report.metrics),
        slowest=_statement_chart(report),
        distributions=tuple(_curves(report)),
    )


def timing_chart(metrics: tuple[Metric, ...], chart_id: str = "timings") -> Dumbbell | None:
    """P50 and P95 of what was timed, with their intervals."""
    shown = [
        metric for metric in metrics
        if metric.unit == "s" and words.subject(metric.name)[1] in ("p50", "p95") and not metric.informative
    ]  # fmt: skip
    spans = [_span(one_line(metric.name), metric) for metric in shown]
    return dumbbell(chart_id, "Latency before and after", [span for span in spans if span is not None])


def _statement_chart(report: Comparison) -> Dumbbell | None:
    spans = []
    for statement in report.statements[:_ROWS]:
        text = one_line(statement.query or f"queryid {statement.queryids[0]}")
        span = _span(text if len(text) <= 44 else f"{text[:43]}…", statement.time)
        if span is not None:
            spans.append(span)
    return dumbbell("statements", "Time per call of the statements with most time", spans)


def _span(label: str, metric: Metric) -> Span | None:
    if metric.before is None or metric.after is None:
        return None
    sides = [
        (value, interval.low if interval else value, interval.high if interval else value)
        for value, interval in ((metric.before, metric.before_interval), (metric.after, metric.after_interval))
    ]
    return Span(label, words.change(metric), words.TONES[metric.verdict], sides[0], sides[1])


def _curves(report: Comparison) -> Iterator[tuple[str, Curves]]:
    for number, distribution in enumerate(report.distributions):
        name = one_line(distribution.name)
        chart = curves(f"curve{number}", f"Latencies of {name}", distribution.before_s, distribution.after_s)
        if chart is not None:
            yield name, chart
