"""The result of A/A tests."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from dbtune.baseline.selfcheck import PROMISE, SCHEMA, SelfCheck
from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.render.document import to_json
from dbtune.render.paint import paint
from dbtune.render.text import one_line


def _json(report: SelfCheck, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    document: dict[str, Any] = {
        **envelope(SCHEMA, report.target, report.started_at, report.duration_s),
        "runs": report.runs,
        "false_verdicts": report.false_verdicts,
        "false_verdict_rate": report.false_verdict_rate,
        "promised": PROMISE,
        "ok": report.ok,
        "verdicts": report.verdicts,
        "judged_metrics": report.judged_metrics,
        "false_metrics": report.false_metrics,
        "calibration_captures": report.calibration_runs,
        "noise_measured": report.noise_measured,
        "noise_used": report.noise_used,
        "margin": report.margin,
        "visible_change": report.visible_change,
        "probes": list(report.probes),
    }
    return to_json(document)


def _terminal(report: SelfCheck, screen: Screen) -> str:
    word, style = ("kept", "green") if report.ok else ("broken", "bold red")
    judged = f"{report.false_metrics} of {report.judged_metrics} metrics taken one by one"
    return paint(screen, [
        Text.assemble((f"A/A test of {one_line(report.target)}", "bold")),
        Text.assemble(
            f"{report.false_verdicts} of {report.runs} comparisons of the same state got a verdict"
            f" ({report.false_verdict_rate:.1%}); promised are at most {PROMISE:.0%}: ", (word, style),
        ),
        Text(f"{judged}; margin ±{report.margin:.0%}; timed: {', '.join(map(one_line, report.probes))}", style="dim"),
        Text(
            f"noise between runs: {report.noise_measured:.1%} measured over {report.calibration_runs} captures,"
            f" {report.noise_used:.1%} used"
        ),
        Text(
            f"compare here with --noise {report.noise_used:.1%}: between two runs a slowdown of"
            f" {report.visible_change:.0%} is then found; blocks that take turns (`baseline ab`) find smaller ones",
            style="dim",
        ),
    ])  # fmt: skip


def _markdown(report: SelfCheck, screen: Screen) -> str:  # noqa: ARG001 - as above
    return (
        f"A/A test: {report.false_verdicts} of {report.runs} comparisons of the same state got a verdict"
        f" ({report.false_verdict_rate:.1%}, promised at most {PROMISE:.0%}); noise between runs"
        f" {report.noise_measured:.1%} measured, {report.noise_used:.1%} used.\n"
    )


SELFCHECK: Renderers[SelfCheck] = {"terminal": _terminal, "json": _json, "markdown": _markdown}
