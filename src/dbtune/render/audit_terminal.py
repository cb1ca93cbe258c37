"""An audit for a terminal: readable in 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dbtune.core.findings import AuditReport, Finding
from dbtune.core.formats import Screen
from dbtune.render.audit_outline import CONFIDENCE, Group, check_title, evidence, gaps, groups, summary
from dbtune.render.paint import paint
from dbtune.render.run_terminal import STYLES
from dbtune.render.text import one_line, plain

MOST_OF_A_CHECK = 10
"""A hundred unused indexes are one piece of news; `--verbose` and the other forms show them all."""


def render(report: AuditReport, screen: Screen) -> str:
    return paint(screen, _parts(report, screen))


def _parts(report: AuditReport, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble(("audit", "bold"), f" of {one_line(report.target)}")
    for group in groups(report):
        yield Text()
        yield Text(group.title, style=STYLES[group.tone])
        yield from _group(group, screen)
    if report.skipped:
        yield Text()
        yield Text(f"not examined ({len({one.check for one in report.skipped})})", style=STYLES["open"])
        for gap in gaps(report.skipped):
            yield Padding(Text(gap.title), (0, 0, 0, 2))
            yield from _facts((("why", plain(gap.reason)), ("remedy", plain(gap.hint or "")), *_all_of(gap.checks)))
    yield Text()
    yield Text(summary(report))
    yield from (Text(f"Note: {plain(note)}.") for note in report.notes)
    if report.findings:
        yield Text(f"`dbtune rule {one_line(report.findings[0].code)}` explains the first finding.", style="dim")


def _all_of(codes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return (("checks", " ".join(map(one_line, codes))),) if len(codes) > 3 else ()


def _group(group: Group, screen: Screen) -> Iterator[RenderableType]:
    by_check: dict[str, list[Finding]] = {}
    for finding in group.findings:
        by_check.setdefault(finding.code, []).append(finding)
    for code, findings in by_check.items():
        yield Padding(Text(one_line(f"{code} {findings[0].name}"), style=STYLES[group.tone]), (0, 0, 0, 2))
        shown = findings if screen.verbose else findings[:MOST_OF_A_CHECK]
        for finding in shown:
            yield from _finding(finding, screen)
        if len(findings) > len(shown):
            rest = f"and {len(findings) - len(shown)} more of {check_title(code)}: --verbose shows them"
            yield Padding(Text(rest), (0, 0, 0, 4))


def _finding(finding: Finding, screen: Screen) -> Iterator[RenderableType]:
    yield Padding(Text(one_line(finding.object), style="bold"), (0, 0, 0, 4))
    remark = CONFIDENCE[finding.confidence]
    facts = [("", plain(finding.message) + (f" ({remark})" if remark else ""))]
    if screen.verbose:
        facts += evidence(finding)
    facts += [("fix", plain(statement).strip("\n")) for statement in (finding.fix.sql if finding.fix else ())]
    yield from _facts(facts)


def _facts(facts: Iterable[tuple[str, str]]) -> Iterator[RenderableType]:
    """Each on lines of its own; what has no text is left out."""
    for label, text in facts:
        if text:
            words = Text.assemble((f"{label}: ", "dim"), text) if label else Text(text)
            yield Padding(words, (0, 0, 0, 6))
