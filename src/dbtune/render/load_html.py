"""A load as one self-contained page."""

from __future__ import annotations

from dbtune.core.formats import Screen
from dbtune.load.report import LoadOutcome, LoadReport
from dbtune.render import load_words as words
from dbtune.render.load_charts import Course, clients_course, distribution, latency_course, rate_course, table
from dbtune.render.page import render_page
from dbtune.render.text import one_line


def render(report: LoadReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return render_page(
        "load.html",
        made_at=report.started_at,
        report=report,
        words=words,
        line=one_line,
        charts_of={outcome.id: _charts(outcome, number) for number, outcome in enumerate(report.loads)},
        table_of={outcome.id: table(outcome.result.series) for outcome in report.loads if outcome.result.series},
    )


def _charts(outcome: LoadOutcome, number: int) -> tuple[Course, ...]:
    series = outcome.result.series
    found = (
        latency_course(series, f"latency{number}"),
        rate_course(series, f"rate{number}"),
        clients_course(series, f"clients{number}"),
        distribution(outcome.result, f"distribution{number}"),
    )
    return tuple(chart for chart in found if chart is not None)
