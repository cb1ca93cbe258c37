"""An explained statement for a terminal: the tree in 80 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbtune.core.formats import Screen
from dbtune.plans.insight import Insight, Severity
from dbtune.plans.report import ExplainReport
from dbtune.render.explain_outline import Row, count, headline, place, rows, to_try
from dbtune.render.paint import paint
from dbtune.render.text import one_line, plain

STYLES: dict[Severity, str] = {"critical": "bold red", "warning": "yellow", "info": "blue"}
HOT, HOTTEST = ">", "»"
_MOST_LINES = 12


def render(report: ExplainReport, screen: Screen) -> str:
    return paint(screen, _parts(report, screen))


def _parts(report: ExplainReport, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble(("explain", "bold"), f" on {one_line(report.target)}")
    yield Text(headline(report))
    for note in report.notes:
        yield Text(f"note: {one_line(note)}", style="dim")
    if report.statement:
        yield Text()
        yield Padding(Text(_shortened(plain(report.statement).strip("\n"), screen), style="dim"), (0, 0, 0, 2))
    yield Text()
    for row in rows(report.plan, verbose=screen.verbose):
        yield from _node(row)
    if len(report.plan.nodes) > 1:
        yield Text(f"{HOT} where the time goes, {HOTTEST} the node that takes the most itself", style="dim")
    yield Text()
    yield Text(count(report.insights), style="bold")
    told: set[str] = set()
    for insight in report.insights:
        yield Text()
        yield from _insight(insight, told)


def _node(row: Row) -> Iterator[RenderableType]:
    mark = HOTTEST if row.is_hottest else HOT if row.is_hot else " "
    style = "bold" if row.is_hot else ""
    front = f"{mark}{row.node.number:>3} "
    yield _line(front + row.branch, Text(row.title, style=style))
    facts = ", ".join(filter(None, (_times(row), _counts(row), row.buffers)))
    for text in filter(None, (facts, *row.details)):
        yield _line(" " * len(front) + row.below, Text(text, style="" if text == facts else "dim"))


def _line(front: str, text: Text) -> RenderableType:
    """What does not fit goes on below itself, beside the lines of the tree."""
    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(front, style="dim"), text)
    return table


def _times(row: Row) -> str:
    if row.own_time and row.own_time.split(" ")[0] != row.time:
        return f"{row.time}, self {row.own_time}"
    return row.time or (f"cost {row.node.total_cost:,.0f}" if row.node.total_cost is not None else "")


def _counts(row: Row) -> str:
    if not row.rows:
        return f"{row.estimate} rows expected" if row.estimate else ""
    expected = f" of {row.estimate} expected" if row.estimate else ""
    return f"{row.rows} rows{expected}{f' ({row.off})' if row.off else ''}"


def _insight(insight: Insight, told: set[str]) -> Iterator[RenderableType]:
    yield Text.assemble(
        (insight.severity, STYLES[insight.severity]), f" {insight.code} {insight.name}: ", (place(insight), "bold")
    )
    yield Padding(Text(one_line(insight.message)), (0, 0, 0, 2))
    yield Padding(Text(to_try(insight)), (0, 0, 0, 2))
    for sql in insight.sql:
        if sql not in told:
            told.add(sql)
            yield Padding(Text(plain(sql)), (0, 0, 0, 7))


def _shortened(statement: str, screen: Screen) -> str:
    lines = statement.splitlines()
    if screen.verbose or len(lines) <= _MOST_LINES:
        return statement
    return "\n".join([*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} lines more (--verbose)"])
