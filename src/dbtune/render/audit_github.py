"""An audit as annotations that GitHub shows beside a commit."""

from __future__ import annotations

from dbtune.core.findings import AuditReport, Finding, Severity
from dbtune.core.formats import Screen
from dbtune.render.audit_outline import gaps, summary
from dbtune.render.run_github import command

LEVELS: dict[Severity, str] = {"critical": "error", "warning": "warning", "info": "notice"}


def render(report: AuditReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """An annotation for each finding and for each reason why something was not examined, then the summary."""
    lines = [_finding(finding) for finding in report.findings]
    for gap in gaps(report.skipped):
        why = gap.reason if gap.hint is None else f"{gap.reason}. {gap.hint}"
        lines.append(command("notice", f"not examined: {gap.title}", why))
    lines += [command("notice", "dbtune audit", note) for note in report.notes]
    return "\n".join([*lines, command("notice", f"dbtune audit: {report.target}", summary(report))]) + "\n"


def _finding(finding: Finding) -> str:
    statements = finding.fix.sql if finding.fix else ()
    text = "\n".join((finding.message, *statements))
    return command(LEVELS[finding.severity], f"{finding.code} {finding.name}: {finding.object}", text)
