"""The journal of runs: a line each."""

from __future__ import annotations

from dataclasses import asdict

from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import HistoryReport, RunEntry, envelope
from dbtune.core.units import format_duration
from dbtune.render.document import to_json
from dbtune.render.text import markdown, one_line

COLUMNS = ("run", "started", "took", "command", "status", "steps", "playbook", "user")


def render_terminal(report: HistoryReport, screen: Screen) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from dbtune.render.paint import paint

    if not report.runs:
        return f"no runs on {one_line(report.target)} yet\n"
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [column for column in COLUMNS if screen.verbose or column not in ("steps", "user")]
    for column in shown:
        # The id is what one copies for rollback: it is never cut.
        table.add_column(column, overflow="fold", no_wrap=column not in ("playbook", "user"))
    for run in report.runs:
        cells = dict(zip(COLUMNS, _cells(run), strict=True))
        table.add_row(*(Text(cells[column], style=_style(run) if column == "status" else "") for column in shown))
    return paint(screen, [table])


def render_json(report: HistoryReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    head = envelope("dbtune.history/1", report.target, report.started_at, report.duration_s)
    return to_json(head | {"runs": [asdict(run) for run in report.runs]})


def render_markdown(report: HistoryReport, screen: Screen) -> str:  # noqa: ARG001
    lines = [f"# Runs on {markdown(report.target)}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(markdown(cell) for cell in _cells(run))} |" for run in report.runs]
    return "\n".join(lines) + "\n"


def render_html(report: HistoryReport, screen: Screen) -> str:  # noqa: ARG001
    from dbtune.render.page import render_page

    return render_page(
        "history.html",
        made_at=report.started_at,
        target=one_line(report.target),
        columns=COLUMNS,
        rows=[_cells(run) for run in report.runs],
    )


def _cells(run: RunEntry) -> tuple[str, ...]:
    took = format_duration((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "-"
    started = f"{run.started_at:%Y-%m-%d %H:%M}"
    cells = (run.run_id, started, took, run.command, run.status, str(run.steps), run.playbook, run.user)
    return tuple(one_line(cell) for cell in cells)


def _style(run: RunEntry) -> str:
    return "red" if run.status == "failed" else ""


RENDERERS: Renderers[HistoryReport] = {
    "terminal": render_terminal,
    "json": render_json,
    "markdown": render_markdown,
    "html": render_html,
}
