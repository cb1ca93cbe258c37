"""An explained statement as one self-contained page."""

from __future__ import annotations

from dbtune.core.formats import Screen
from dbtune.plans.report import ExplainReport
from dbtune.render.explain_outline import count, headline, place, rows, to_try
from dbtune.render.page import render_page
from dbtune.render.text import one_line, plain

TONES = {"critical": "bad", "warning": "open", "info": "same"}


def render(report: ExplainReport, screen: Screen) -> str:
    severities = {insight.severity for insight in report.insights}
    worst = next((TONES[name] for name in TONES if name in severities), "good")
    return render_page(
        "explain.html",
        made_at=report.started_at,
        report=report,
        headline=headline(report),
        count=count(report.insights),
        tone=worst,
        tones=TONES,
        rows=rows(report.plan, verbose=screen.verbose),
        share=lambda row: round((report.plan.time_share(row.node) or 0.0) * 100, 1),
        place=place,
        to_try=to_try,
        capital=lambda text: text[:1].upper() + text[1:],
        line=one_line,
        plain=plain,
    )
