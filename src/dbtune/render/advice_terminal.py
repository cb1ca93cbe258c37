"""Advice for a terminal, in 80 columns and readable without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dbtune.advisor.advice import Advice, Explanation, Recommendation
from dbtune.core.formats import Screen
from dbtune.plans.plan import Plan
from dbtune.render.advice_outline import drop, facts, gain, headline, not_examined, proof, query, statement
from dbtune.render.explain_outline import rows
from dbtune.render.paint import paint
from dbtune.render.text import one_line

_MOST_SERVED = 3
_MOST_GAPS = 8


def render(report: Advice, screen: Screen) -> str:
    return paint(screen, _parts(report, screen))


def _parts(report: Advice, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble(("advise", "bold"), f" on {one_line(report.target)}")
    yield Text(headline(report), style="bold")
    yield Text(proof(report), style="dim")
    for number, index in enumerate(report.recommendations, start=1):
        yield from _index(number, index, screen)
    if report.drops:
        yield from (Text(), Text("Superfluous", style="bold"))
    for one in report.drops:
        yield Text(f"  {one_line(one.ddl)}")
        yield Padding(Text(one_line(drop(one)), style="dim"), (0, 0, 0, 4))
    if report.rejected:
        yield from (Text(), Text("Tried and left out", style="bold"))
    for rejected in report.rejected:
        yield Text(f"  {one_line(rejected.name)}: {one_line(rejected.reason)}")
    for explanation in report.explanations:
        yield from _explanation(explanation)
    yield from _rest(report, screen)


def _index(number: int, index: Recommendation, screen: Screen) -> Iterator[RenderableType]:
    yield Text()
    yield Text.assemble((f"{number}. ", "bold"), (one_line(statement(index)), "green"))
    yield Padding(Text(f"{facts(index)}: {one_line(index.why)}", style="dim"), (0, 0, 0, 3))
    most = len(index.queries) if screen.verbose else _MOST_SERVED
    for served in index.queries[:most]:
        text = Text(f"{gain(served)}  {query(served)}", no_wrap=not screen.verbose, overflow="ellipsis")
        yield Padding(text, (0, 0, 0, 3))
    if len(index.queries) > most:
        yield Padding(Text(f"and {len(index.queries) - most} more; --verbose shows them", style="dim"), (0, 0, 0, 3))


def _explanation(one: Explanation) -> Iterator[RenderableType]:
    yield from (Text(), Text(f"Why {one.index}", style="bold"), Text(f"  {one_line(one.query)}"))
    for label, plan in (("without it", one.before), ("with it", one.after)):
        yield Text(f"  {label}, cost {plan.root.total_cost or 0:,.0f}", style="dim")
        yield from _tree(plan)


def _tree(plan: Plan) -> Iterator[RenderableType]:
    for row in rows(plan):
        cost = f"  cost {row.node.total_cost:,.0f}" if row.node.total_cost is not None else ""
        yield Text(f"    {row.branch}{row.title}{cost}", no_wrap=True, overflow="ellipsis")


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
