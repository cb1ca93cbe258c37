"""A load as annotations that GitHub shows beside a commit."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.formats import Screen
from dbtune.load.report import LoadOutcome, LoadReport
from dbtune.render import load_words as words
from dbtune.render.run_github import command


def render(report: LoadReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """An error for each threshold that is missed and for what broke a load off, a warning for failed requests."""
    return "\n".join(line for outcome in report.loads for line in _load(report, outcome)) + "\n"


def _load(report: LoadReport, outcome: LoadOutcome) -> Iterator[str]:
    for text in words.failing(outcome):
        yield command("error", f"load: {outcome.name}", text)
    for message, count in outcome.result.errors.items():
        yield command("warning", f"load: {outcome.name}", f"{count:,} of {outcome.result.sent:,} failed: {message}")
    title = f"dbtune load: {report.playbook}"
    yield command("notice", title, f"{words.WORDS[outcome.verdict]}: {outcome.name}: {words.headline(outcome)}")
