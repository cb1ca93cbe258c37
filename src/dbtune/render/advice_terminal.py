"""Advice for a terminal, in 80 columns and readable without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbtune.advisor.advice import Advice, Explanation, Recommendation
from dbtune.core.formats import Screen
from dbtune.plans.plan import Plan
from dbtune.render.advice_outline import (
    HEADINGS,
    TIMED,
    brief,
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
from dbtune.render.paint import paint
from dbtune.render.text import one_line

_MOST_SERVED = 3
_MOST_GAPS = 8
_MOST_TIMED = 20


def render(report: Advice, screen: Screen) -> str:
    return paint(screen, _parts(report, screen))


def _parts(report: Advice, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble(("advise", "bold"), f" on {one_line(report.target)}")
    yield Text(headline(report), style="bold")
    yield Text(proof(report), style="dim")
    if len(report.recommendations) > 1:
        yield from (Text(), _overview(report))
    if few := left_out(report):
        yield Text(few)
    for number, index in enumerate(report.recommendations, start=1):
        yield from _index(number, index, report, screen)
    if report.drops:
        yield from (Text(), Text("Superfluous", style="bold"))
    for spare in report.drops:
        yield Padding(Text(f"{one_line(spare.ddl)};"), (0, 0, 0, 2))
        yield Padding(Text(one_line(drop(spare)), style="dim"), (0, 0, 0, 4))
    if report.rejected:
        yield from (Text(), Text("Tried and left out", style="bold"))
    for one in report.rejected:
        yield Padding(Text(one_line(rejected(one))), (0, 0, 0, 2))
    if report.timings:
        yield from _timings(report, screen)
    for explanation in report.explanations:
        yield from _explanation(explanation)
    yield from _rest(report, screen)


def _overview(report: Advice) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, heading in enumerate(HEADINGS):
        is_text = heading in ("Index", "Known by")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=heading != "Index")
        table.columns[place].overflow = "fold"
    for row in overview(report):
        table.add_row(*map(Text, row))
    return table


def _timings(report: Advice, screen: Screen) -> Iterator[RenderableType]:
    yield from (Text(), Text("Measured, one call each, without the indexes and with them", style="bold"))
    shown = [TIMED, *timed(report)][: None if screen.verbose else _MOST_TIMED + 1]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for number, (*figures, text) in enumerate(shown):
        # A table would take from every column what the last one lacks.
        line = "  ".join([*(figure.rjust(width) for figure, width in zip(figures, widths, strict=False)), text])
        yield Padding(Text(line, style="" if number else "dim", no_wrap=True, overflow="ellipsis"), (0, 0))
    if rest := len(report.timings) + 1 - len(shown):
        yield Text(f"and {rest} more; --verbose shows them", style="dim")


def _index(number: int, index: Recommendation, report: Advice, screen: Screen) -> Iterator[RenderableType]:
    yield Text()
    yield Text.assemble((f"{number}. ", "bold"), (f"{one_line(statement(index))};", "green"))
    yield Padding(Text(f"{facts(index, report)}: {one_line(index.why)}", style="dim"), (0, 0, 0, 3))
    shown = index.queries if screen.verbose else served(index)[:_MOST_SERVED]
    for one in shown:
        shown_query = query(one) if screen.verbose else brief(one)
        text = Text(f"{gain(one)}  {shown_query}", no_wrap=not screen.verbose, overflow="ellipsis")
        yield Padding(text, (0, 0, 0, 3))
    if rest := len(index.queries) - len(shown):
        yield Padding(Text(f"and {rest} more; --verbose shows them", style="dim"), (0, 0, 0, 3))


def _explanation(one: Explanation) -> Iterator[RenderableType]:
    yield from (Text(), Text(f"Why {one.index}", style="bold"), Padding(Text(one_line(one.query)), (0, 0, 0, 2)))
    for label, plan in (("without it, with the others", one.before), ("with it", one.after)):
        yield Text(f"  {label}, cost {plan.root.total_cost or 0:,.0f}", style="dim")
        yield from _tree(plan)


def _tree(plan: Plan) -> Iterator[RenderableType]:
    for row in rows(plan):
        cost = f"  cost {row.node.total_cost:,.0f}" if row.node.total_cost is not None else ""
        # Bare texts are joined by rich, which then forgets that they must not wrap.
        yield Padding(Text(f"{row.branch}{row.title}{cost}", no_wrap=True, overflow="ellipsis"), (0, 0, 0, 4))


def _rest(report: Advice, screen: Screen) -> Iterator[RenderableType]:
    gaps = list(not_examined(report))
    if gaps:
        yield from (Text(), Text("Not examined", style="bold"))
    most = len(gaps) if screen.verbose else _MOST_GAPS
    for gap in gaps[:most]:
        yield Padding(Text(gap, style="dim"), (0, 0, 0, 2))
    if len(gaps) > most:
        yield Padding(Text(f"and {len(gaps) - most} more; --verbose shows them", style="dim"), (0, 0, 0, 2))
    for note in report.notes:
        yield Text(f"note: {one_line(note)}", style="dim")
