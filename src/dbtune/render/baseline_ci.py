"""A comparison for CI services: JUnit (a case per metric and gate), and GitHub's annotations."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbtune.baseline.gates import say
from dbtune.baseline.outcome import Comparison, Metric
from dbtune.core.formats import Screen
from dbtune.render import baseline_words as words
from dbtune.render.run_github import command
from dbtune.render.text import one_line, plain


def render_junit(report: Comparison, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """A regression and a gate that does not hold are failures; what is not known is skipped."""
    cases = [*_gate_cases(report), *(_metric_case(metric) for metric in report.metrics if not metric.informative)]
    suite = Element(
        "testsuite",
        name=f"dbtune baseline {one_line(report.before.name)} to {one_line(report.after.name)}",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors="0",
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{report.duration_s:.3f}",
        timestamp=report.started_at.isoformat(timespec="seconds"),
        hostname=one_line(report.target),
    )
    suite.extend(cases)
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _gate_cases(report: Comparison) -> Iterator[Element]:
    for gate in report.gates:
        case = Element("testcase", name=one_line(gate.expression), classname="gates", time="0.000")
        if not gate.ok:
            SubElement(case, "failure", message=one_line(say(gate)), type="gate").text = plain(say(gate))
        yield case


def _metric_case(metric: Metric) -> Element:
    case = Element("testcase", name=one_line(metric.name), classname="metrics", time="0.000")
    figures = f"{words.before(metric)} → {words.after(metric)}, {words.change(metric)}"
    if metric.verdict == "regressed":
        SubElement(case, "failure", message=one_line(f"regressed: {figures}"), type="regression").text = plain(figures)
    elif metric.verdict == "inconclusive":
        SubElement(case, "skipped", message=one_line(words.why(metric) or "inconclusive"))
    return case


def render_github(report: Comparison, screen: Screen) -> str:  # noqa: ARG001 - as above
    """An error for each regression and each gate that does not hold, a warning for what makes it doubtful."""
    return "\n".join(_annotations(report)) + "\n"


def _annotations(report: Comparison) -> Iterator[str]:
    for gate in report.gates:
        if not gate.ok:
            yield command("error", f"gate: {gate.expression}", say(gate))
    for metric in report.metrics:
        if metric.verdict == "regressed" and not metric.informative:
            yield command("error", f"regressed: {metric.name}",
                          f"{words.before(metric)} → {words.after(metric)}, {words.change(metric)}")  # fmt: skip
    for change in report.statements:
        if change.time.verdict == "regressed":
            text = change.query or f"queryid {change.queryids[0]}"
            yield command("error", "regressed: statement",
                          f"{words.change(change.time)} a call: {one_line(text)[:200]}")  # fmt: skip
    for note in report.trust.notes:
        if note.level != "info":
            yield command("warning", note.subject, note.message)
    title = f"dbtune baseline: {report.before.name} to {report.after.name}"
    yield command("notice", title, f"{words.WORDS[report.verdict]}: {words.headline(report)}")
