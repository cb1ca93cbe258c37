"""plan, apply, verify and rollback as one self-contained page."""

from __future__ import annotations

from dbtune.core.formats import Screen
from dbtune.core.reports import RunReport
from dbtune.render.page import render_page
from dbtune.render.run_outline import TONES, details, groups, status_words, summary
from dbtune.render.text import one_line, plain


def render(report: RunReport, screen: Screen) -> str:
    bad = any(TONES[step.status] == "bad" for step in report.steps)
    return render_page(
        "run.html",
        made_at=report.started_at,
        report=report,
        groups=groups(report),
        summary=summary(report),
        tone="bad" if bad else "good",
        details=lambda step: details(step, verbose=screen.verbose),
        words=status_words,
        line=one_line,
        plain=plain,
        tones=TONES,
    )
