"""Advice as one self-contained page."""

from __future__ import annotations

from dbtune.advisor.advice import Advice
from dbtune.core.formats import Screen
from dbtune.plans.plan import Plan
from dbtune.render.advice_outline import (
    HEADINGS,
    TIMED,
    drop,
    facts,
    gain,
    headline,
    left_out,
    not_examined,
    overview,
    proof,
    query,
    rejected,
    served,
    statement,
    timed,
)
from dbtune.render.explain_outline import rows
from dbtune.render.page import render_page
from dbtune.render.text import one_line, plain


def render(report: Advice, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return render_page(
        "advice.html",
        made_at=report.started_at,
        report=report,
        headline=headline(report),
        proof=proof(report),
        gaps=list(not_examined(report)),
        statement=statement,
        facts=facts,
        headings=HEADINGS,
        overview=list(overview(report)) if len(report.recommendations) > 1 else [],
        few=left_out(report),
        timed_headings=TIMED,
        timed=list(timed(report)),
        rejected=rejected,
        served=served,
        gain=gain,
        query=query,
        drop=drop,
        tree=_tree,
        line=one_line,
        plain=plain,
    )


def _tree(plan: Plan) -> str:
    return "\n".join(f"{row.branch}{row.title}" for row in rows(plan))
