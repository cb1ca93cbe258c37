"""plan, apply, verify and rollback for a terminal: readable in 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbtune.core.formats import Screen
from dbtune.core.reports import RunReport, StepReport
from dbtune.render.paint import paint
from dbtune.render.run_outline import Group, details, groups, shows_sql, summary
from dbtune.render.text import one_line, plain

STYLES = {"good": "green", "bad": "bold red", "same": "blue", "open": "yellow"}


def render(report: RunReport, screen: Screen) -> str:
    return paint(screen, _parts(report, screen))


def _parts(report: RunReport, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble((report.command, "bold"), f" of {one_line(report.playbook)} on {one_line(report.target)}")
    if report.run_id is not None:
        yield Text(f"run {one_line(report.run_id)}")
    for group in groups(report):
        yield Text()
        yield Text(group.title, style=STYLES[group.tone])
        for step in group.steps:
            yield from _step(report, group, step, screen)
    yield Text()
    yield Text(summary(report))


def _step(report: RunReport, group: Group, step: StepReport, screen: Screen) -> Iterator[RenderableType]:
    yield Padding(Text.assemble((one_line(step.name), STYLES[group.tone]), f"  [{one_line(step.kind)}]"), (0, 0, 0, 2))
    if shows_sql(report, step, verbose=screen.verbose):
        for statement in step.sql:
            yield Padding(Text(plain(statement).strip("\n")), (0, 0, 0, 6))
    facts = details(step, verbose=screen.verbose)
    if facts:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, min_width=7)
        table.add_column(overflow="fold")
        for label, text in facts:
            table.add_row(Text(label, style="dim"), Text(text, style="red" if label == "error" else ""))
        yield Padding(table, (0, 0, 0, 6))
