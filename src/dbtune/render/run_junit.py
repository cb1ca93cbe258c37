"""verify and apply as JUnit XML, which every CI service shows: a step is a test case."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbtune.core.formats import Screen
from dbtune.core.reports import RunReport, StepReport
from dbtune.render.run_outline import TONES, status_words
from dbtune.render.text import one_line, plain


def render(report: RunReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    failures = sum(TONES[step.status] == "bad" for step in report.steps)
    skipped = sum(TONES[step.status] == "open" for step in report.steps)
    suite = Element(
        "testsuite",
        name=f"dbtune {report.command} {one_line(report.playbook)}",
        tests=str(len(report.steps)),
        failures=str(failures),
        errors="0",
        skipped=str(skipped),
        time=f"{report.duration_s:.3f}",
        timestamp=report.started_at.isoformat(timespec="seconds"),
        hostname=one_line(report.target),
    )
    for step in report.steps:
        _case(suite, report, step)
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, report: RunReport, step: StepReport) -> None:
    case = SubElement(
        suite,
        "testcase",
        name=one_line(step.name),
        classname=f"{one_line(report.playbook)}.{one_line(step.kind)}",
        time=f"{step.duration_s or 0:.3f}",
    )
    reason = one_line(step.error or step.reason or status_words(step.status))
    if TONES[step.status] == "bad":
        failure = SubElement(case, "failure", message=reason, type=step.status)
        failure.text = plain("\n".join(text for text in (step.error, step.reason, step.hint, *step.sql) if text))
    elif TONES[step.status] == "open":
        SubElement(case, "skipped", message=reason)
