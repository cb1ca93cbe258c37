"""Advice for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.advisor.advice import Advice, Explanation, Recommendation
from dbtune.core.formats import Screen
from dbtune.render.advice_outline import (
    HEADINGS,
    TIMED,
    drop,
    facts,
    gain,
    headline,
    left_out,
    not_examined,
    overview,
    proof,
    query,
    rejected,
    served,
    statement,
    timed,
)
from dbtune.render.explain_outline import rows
from dbtune.render.text import markdown, markdown_code


def render(report: Advice, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    lines = [f"# advise on {markdown(report.target)}", "", f"**{markdown(headline(report))}**", "", proof(report)]
    if len(report.recommendations) > 1:
        lines += ["", f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]
        lines += [f"| {' | '.join(map(markdown, row))} |" for row in overview(report)]
    if few := left_out(report):
        lines += ["", markdown(few)]
    for number, index in enumerate(report.recommendations, start=1):
        lines += _index(number, index, report)
    if report.drops:
        lines += ["", "## Superfluous"]
        for one in report.drops:
            lines += ["", markdown_code(f"{one.ddl};"), "", markdown(drop(one))]
    if report.rejected:
        lines += ["", "## Tried and left out", ""]
        lines += [f"- {markdown(rejected(out))}" for out in report.rejected]
    lines += _timings(report)
    for explanation in report.explanations:
        lines += _explanation(explanation)
    gaps = list(not_examined(report))
    if gaps:
        lines += ["", "## Not examined", "", *(f"- {markdown(gap)}" for gap in gaps)]
    if report.notes:
        lines += ["", *(f"- {markdown(note)}" for note in report.notes)]
    return "\n".join(lines) + "\n"


def _timings(report: Advice) -> Iterator[str]:
    if report.timings:
        yield from ("", "## Measured, one call each, without the indexes and with them", "")
        yield from (f"| {' | '.join(TIMED)} |", "|" + "---|" * len(TIMED))
        yield from (f"| {' | '.join(map(markdown, row))} |" for row in timed(report))


def _index(number: int, index: Recommendation, report: Advice) -> Iterator[str]:
    yield from ("", f"## {number}. {markdown(index.name)}", "", markdown_code(f"{statement(index)};"), "")
    yield from (markdown(f"{facts(index, report)}: {index.why}"), "", "| statement | change |", "|---|---|")
    for one in served(index):
        yield f"| {markdown(query(one))} | {markdown(gain(one))} |"


def _explanation(one: Explanation) -> Iterator[str]:
    yield from ("", f"## Why {markdown(one.index)}", "", markdown_code(one.query))
    for label, plan in (("Without it, with the others", one.before), ("With it", one.after)):
        tree = "\n".join(f"{row.branch}{row.title}" for row in rows(plan))
        yield from ("", f"{label}, cost {plan.root.total_cost or 0:,.0f}:", "", markdown_code(tree))
