"""A load as JUnit XML: a threshold is a test case, and so is the load itself."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbtune.core.formats import Screen
from dbtune.load.report import LoadOutcome, LoadReport
from dbtune.render import load_words as words
from dbtune.render.text import one_line


def render(report: LoadReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    root = Element("testsuites", name=f"dbtune load {one_line(report.playbook)}")
    for outcome in report.loads:
        _suite(root, report, outcome)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, report: LoadReport, outcome: LoadOutcome) -> None:
    failures = sum(not found.gate.ok for found in outcome.thresholds)
    suite = SubElement(
        root,
        "testsuite",
        name=one_line(outcome.name),
        tests=str(len(outcome.thresholds) + 1),
        failures=str(failures),
        errors=str(int(bool(outcome.broken))),
        skipped="0",
        time=f"{outcome.result.duration_s:.3f}",
        timestamp=(outcome.started_at or report.started_at).isoformat(timespec="seconds"),
        hostname=one_line(report.target),
    )
    group = f"{one_line(report.playbook)}.{one_line(outcome.id)}"
    case = SubElement(suite, "testcase", name="the load", classname=group, time=f"{outcome.result.duration_s:.3f}")
    if outcome.broken:
        SubElement(case, "error", message=one_line(outcome.broken[0])).text = one_line("; ".join(outcome.broken))
    SubElement(case, "system-out").text = one_line(f"{words.headline(outcome)}; {words.engine(outcome)}")
    for found in outcome.thresholds:
        gate = found.gate
        name = one_line(f"{found.key}: {gate.expression}")
        case = SubElement(suite, "testcase", name=name, classname=group, time="0")
        if not gate.ok:
            limit = words.gate_value(gate, gate.limit)
            message = gate.reason or f"{words.gate_value(gate, gate.value)}, limit {limit}"
            SubElement(case, "failure", message=one_line(message), type="threshold")
