"""An explained statement for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.formats import Screen
from dbtune.plans.insight import Insight
from dbtune.plans.report import ExplainReport
from dbtune.render.explain_outline import Row, count, headline, place, rows, to_try
from dbtune.render.text import markdown, markdown_code


def render(report: ExplainReport, screen: Screen) -> str:
    """The statement, the tree as a table, and the insights with what to try."""
    lines = [f"# explain on {markdown(report.target)}", "", markdown(headline(report)), ""]
    lines += [f"- {markdown(note)}" for note in report.notes]
    if report.statement:
        lines += ["", markdown_code(report.statement)]
    lines += ["", "| | node | time | self | rows | expected | off by | buffers |", "|--:|---|--:|--:|--:|--:|--:|---|"]
    lines += [_row(row) for row in rows(report.plan, verbose=screen.verbose)]
    lines += ["", f"## {count(report.insights)}"]
    for insight in report.insights:
        lines += _insight(insight)
    return "\n".join(lines) + "\n"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _row(row: Row) -> str:
    # No-break spaces: a table's cell keeps no others at its beginning.
    indent = "\u00a0\u00a0" * row.node.depth
    title = f"**{markdown(row.title)}**" if row.is_hot else markdown(row.title)
    details = "".join(f"<br>{indent}{markdown(detail)}" for detail in row.details)
    cells = (row.time, row.own_time, row.rows, row.estimate, row.off, row.buffers)
    return f"| {row.node.number} | {indent}{title}{details} | {' | '.join(map(markdown, cells))} |"


def _insight(insight: Insight) -> Iterator[str]:
    yield from ("", f"### {insight.severity} {insight.code} {insight.name}: {markdown(place(insight))}", "")
    yield from (markdown(insight.message), "", markdown(_capital(to_try(insight))))
    for sql in insight.sql:
        yield from ("", markdown_code(sql))
