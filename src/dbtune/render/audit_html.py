"""An audit as one self-contained page."""

from __future__ import annotations

from dbtune.core.findings import AuditReport
from dbtune.core.formats import Screen
from dbtune.render.audit_outline import CONFIDENCE, check_title, evidence, gaps, groups, summary, tone
from dbtune.render.page import render_page
from dbtune.render.text import one_line, plain


def render(report: AuditReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return render_page(
        "audit.html",
        made_at=report.started_at,
        report=report,
        groups=groups(report),
        gaps=gaps(report.skipped),
        summary=summary(report),
        tone=tone(report),
        evidence=evidence,
        remarks=CONFIDENCE,
        check_title=check_title,
        line=one_line,
        plain=plain,
    )
