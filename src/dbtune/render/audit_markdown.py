"""An audit for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.findings import AuditReport, Finding
from dbtune.core.formats import Screen
from dbtune.render.audit_outline import CONFIDENCE, check_title, evidence, gaps, groups, summary
from dbtune.render.text import markdown, markdown_code


def render(report: AuditReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """A heading, the summary, a section for each severity, and a table of what was not examined."""
    lines = [f"# Audit of {markdown(report.target)}", "", markdown(summary(report))]
    lines += [line for note in report.notes for line in ("", f"Note: {markdown(note)}.")]
    for group in groups(report):
        lines += ["", f"## {group.title.capitalize()}"]
        for finding in group.findings:
            lines += _finding(finding)
    if report.skipped:
        lines += ["", "## Not examined", "", "| checks | why | remedy |", "|---|---|---|"]
        for gap in gaps(report.skipped):
            which = ", ".join(markdown(check_title(code)) for code in gap.checks)
            lines.append(f"| {which} | {markdown(gap.reason)} | {markdown(gap.hint or '')} |")
    return "\n".join(lines) + "\n"


def _finding(finding: Finding) -> Iterator[str]:
    yield from ("", f"### {markdown(finding.code)} {markdown(finding.name)}: {markdown(finding.object)}", "")
    remark = CONFIDENCE[finding.confidence]
    yield markdown(finding.message) + (f" ({remark})" if remark else "")
    facts = [f"- {markdown(label)}: {markdown('; '.join(text.splitlines()))}" for label, text in evidence(finding)]
    if facts:
        yield from ("", *facts)
    if finding.fix and finding.fix.sql:
        yield from ("", markdown_code("\n".join(finding.fix.sql), "sql" if finding.code[:2] == "PG" else "text"))
