"""plan, apply, verify and rollback as annotations that GitHub shows beside a commit."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.formats import Screen
from dbtune.core.reports import RunReport, StepReport
from dbtune.render.run_outline import TONES, status_words, summary
from dbtune.render.text import one_line, plain


def render(report: RunReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """An error for each step that went wrong, a warning for each that was left out or warns, then a notice."""
    lines = [line for step in report.steps for line in _step(step)]
    title = f"dbtune {report.command}: {report.playbook}"
    return "\n".join([*lines, command("notice", title, summary(report))]) + "\n"


def _step(step: StepReport) -> Iterator[str]:
    title = f"{step.kind}: {step.name}"
    what = ". ".join(text for text in (step.error, step.reason, step.hint) if text) or status_words(step.status)
    if TONES[step.status] == "bad":
        yield command("error", title, what)
    elif TONES[step.status] == "open":
        yield command("warning", title, f"{status_words(step.status)}: {what}")
    for note in step.notes:
        yield command("warning", title, note)


def command(level: str, title: str, message: str) -> str:
    """A workflow command; its delimiters are escaped as GitHub's own toolkit does."""
    escaped = plain(message).replace("%", "%25").replace("\n", "%0A")
    name = one_line(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{escaped}"
