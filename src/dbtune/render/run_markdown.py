"""plan, apply, verify and rollback for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.formats import Screen
from dbtune.core.reports import RunReport, StepReport
from dbtune.render.run_outline import details, groups, status_words, summary
from dbtune.render.text import markdown, markdown_code


def render(report: RunReport, screen: Screen) -> str:
    """A heading, a table of all steps in the playbook's order, then what there is to say about each."""
    lines = [f"# {report.command} of {markdown(report.playbook)} on {markdown(report.target)}", ""]
    if report.run_id is not None:
        lines += [f"Run `{report.run_id}`.", ""]
    lines += [markdown(summary(report)), "", "| status | step | kind |", "|---|---|---|"]
    for step in report.steps:
        lines.append(f"| {status_words(step.status)} | {markdown(step.name)} | {markdown(step.kind)} |")
    for group in groups(report):
        told = [line for step in group.steps for line in _step(step, screen)]
        if told:
            lines += ["", f"## {group.title}", *told]
    return "\n".join(lines) + "\n"


def _step(step: StepReport, screen: Screen) -> Iterator[str]:
    facts = details(step, verbose=screen.verbose)
    if not facts and not step.sql:
        return
    yield from ("", f"### {markdown(step.name)}", "")
    for statement in step.sql:
        yield from (markdown_code(statement), "")
    for label, text in facts:
        yield f"- {label}: {markdown(text)}"
