"""An audit as JUnit XML, which every CI service shows: a check that found nothing passes."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbtune.core.findings import AuditReport, Finding
from dbtune.core.formats import Screen
from dbtune.render.audit_outline import check_title, gaps
from dbtune.render.text import one_line, plain


def render(report: AuditReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """Critical findings and warnings are failures, information a passed case with its text, gaps are skipped."""
    silent = [code for code in report.examined if code not in {finding.code for finding in report.findings}]
    left_out = gaps(report.skipped)
    skipped = sum(len(gap.checks) for gap in left_out)
    suite = Element(
        "testsuite",
        name=f"dbtune audit {one_line(report.target)}",
        tests=str(len(report.findings) + len(silent) + skipped),
        failures=str(sum(finding.severity != "info" for finding in report.findings)),
        errors="0",
        skipped=str(skipped),
        time=f"{report.duration_s:.3f}",
        timestamp=report.started_at.isoformat(timespec="seconds"),
        hostname=one_line(report.target),
    )
    for finding in report.findings:
        _finding(suite, finding)
    for code in silent:
        _case(suite, code, check_title(code))
    for gap in left_out:
        for code in gap.checks:
            why = gap.reason if gap.hint is None else f"{gap.reason}: {gap.hint}"
            SubElement(_case(suite, code, check_title(code)), "skipped", message=one_line(why))
    if report.notes:
        SubElement(suite, "system-out").text = plain("\n".join(report.notes))
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, code: str, name: str) -> Element:
    return SubElement(suite, "testcase", name=one_line(name), classname=f"dbtune.audit.{one_line(code)}")


def _finding(suite: Element, finding: Finding) -> None:
    case = _case(suite, finding.code, f"{finding.code} {finding.name}: {finding.object}")
    text = plain("\n".join((finding.message, *(finding.fix.sql if finding.fix else ()))))
    if finding.severity == "info":
        SubElement(case, "system-out").text = text
    else:
        SubElement(case, "failure", message=one_line(finding.message), type=finding.severity).text = text
