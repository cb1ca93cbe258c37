"""A comparison as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.baseline.outcome import Comparison, Distribution, Metric
from dbtune.baseline.statistics import quantile
from dbtune.core.formats import Screen
from dbtune.core.units import format_duration
from dbtune.render import baseline_words as words
from dbtune.render.charts import Curves, Dumbbell, Span, curves, dumbbell
from dbtune.render.page import render_page
from dbtune.render.text import one_line, plain
from dbtune.render.timeline import Row, timelines

_STATEMENTS = 200
_CLIPS = ((3000, 200), (600, 100), (200, 40), (110, 10))
"""(characters of a statement's text, statements whose plans are shown), the first that fits being taken."""
_MOST_BYTES = 480_000
_ROWS = 12
_CHANGES = 50
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def render(report: Comparison, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """At most half a megabyte for 200 statements: long texts are cut as far as that takes."""
    page = ""
    for clip, plans in _CLIPS:
        page = _page(report, clip, plans)
        if len(page.encode()) <= _MOST_BYTES:
            break
    return page


def _page(report: Comparison, clip: int, plans: int) -> str:
    return render_page(
        "baseline.html",
        made_at=report.started_at,
        report=report,
        clip=clip,
        planned=plans,
        words=words,
        line=one_line,
        plain=plain,
        statements=report.statements[:_STATEMENTS],
        timings=timing_chart(report.metrics),
        slowest=_statement_chart(report),
        distributions=tuple(_curves(report)),
        loads=[(pair, series) for number, pair in enumerate(report.loads) if (series := timelines(pair, number))],
        hits=[metric for metric in report.metrics if metric.unit == "share" and "hit" in metric.name],
        made_size=sum(index.size_bytes or 0 for index in report.new_indexes),
        made_s=sum(index.build_s or 0.0 for index in report.new_indexes),
        other_changes=[change for change in report.changes if change.kind != "index"][:_CHANGES],
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


def _curves(report: Comparison) -> Iterator[tuple[str, Curves, list[Row]]]:
    for number, distribution in enumerate(report.distributions):
        name = one_line(distribution.name)
        chart = curves(f"curve{number}", f"Latencies of {name}", distribution.before_s, distribution.after_s)
        if chart is not None:
            yield name, chart, _table(distribution)


def _table(distribution: Distribution) -> list[Row]:
    """The chart's own points at some shares; the tails need more samples than these to be bounded."""
    sides = distribution.before_s, distribution.after_s
    return [Row(f"{share:.0%}", *(format_duration(quantile(side, share)) for side in sides)) for share in _SHARES]
