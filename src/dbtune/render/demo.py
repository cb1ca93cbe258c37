"""The demo's report: what was measured in three measurements, beside the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING

from dbtune.baseline.statistics import samples_needed
from dbtune.core.demo_report import DemoReport, EndpointFigures, Kind, Outcome, Stage, outcomes
from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.render.document import to_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dbtune.render.charts import Curves

STAGES = ("as found", "playbooks", "code fixes")
VERDICTS: Mapping[bool | None, str] = {True: "met", False: "missed", None: ""}
ENDPOINT_COLUMNS = ("P50", "P95", "P99", "req/s", "SQL/req", "errors")
TOO_FEW = "–"
CURVE_POINTS = 300


def render_terminal(report: DemoReport, screen: Screen) -> str:
    from rich.text import Text

    from dbtune.render.paint import paint

    parts = [Text(_headline(report)), Text(), _outcome_table(report), Text(), _endpoint_table(report), Text()]
    return paint(screen, [*parts, *(Text(line) for line in _closing(report))])


def _outcome_table(report: DemoReport) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("", no_wrap=True)
    for column in (*STAGES, "change", "target"):
        table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    table.add_column("", no_wrap=True, min_width=len(VERDICTS[False]))
    for outcome in outcomes(report):
        style = {True: "green", False: "red", None: ""}[outcome.met]
        values = _written(outcome)
        table.add_row(outcome.label, *values, outcome.reached, outcome.goal, Text(VERDICTS[outcome.met], style=style))
    return table


def _endpoint_table(report: DemoReport) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("endpoint", no_wrap=True)
    for column in ENDPOINT_COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for place, first in enumerate(report.stages[0].endpoints):
        table.add_row(Text(first.title, style="bold"), *("" for _ in ENDPOINT_COLUMNS))
        for stage, row in _rows(report, place):
            table.add_row(f"  {stage}", *row)
    return table


def render_markdown(report: DemoReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    lines = ["# dbtune demo", "", _headline(report), "", f"| | {' | '.join(STAGES)} | change | target | |"]
    lines.append("|---|--:|--:|--:|--:|--:|---|")
    for outcome in outcomes(report):
        cells = (outcome.label, *_written(outcome), outcome.reached, outcome.goal, VERDICTS[outcome.met])
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"| endpoint | | {' | '.join(ENDPOINT_COLUMNS)} |", "|---|---|" + "--:|" * len(ENDPOINT_COLUMNS)]
    for place, first in enumerate(report.stages[0].endpoints):
        for number, stage in enumerate(report.stages):
            row = (first.title, STAGES[number], *_cells(stage.endpoints[place]))
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", *_closing(report)]) + "\n"


def render_json(report: DemoReport, screen: Screen) -> str:  # noqa: ARG001
    head = envelope("dbtune.demo/1", report.target, report.started_at, report.duration_s)
    plain = {
        name: getattr(report, name)
        for name in ("scale", "rows", "size_bytes", "load_s", "clients", "report_path", "baselines")
    }
    body = {
        "targets": [asdict(outcome) for outcome in outcomes(report)],
        "gates": [asdict(gate) for gate in report.gates],
        "tuning": asdict(report.tuning),
        "stages": [_stage(stage) for stage in report.stages],
    }
    return to_json(head | plain | body)


def _stage(stage: Stage) -> dict[str, object]:
    """Without the single latencies, of which there are thousands."""
    figures = {name: value for name, value in asdict(stage).items() if name != "latencies_s"}
    return figures | {"requests_per_s": stage.requests_per_s, "hit_rate": stage.hit_rate}


def render_html(report: DemoReport, screen: Screen) -> str:  # noqa: ARG001
    from dbtune.render.page import render_page

    return render_page(
        "demo.html",
        made_at=report.started_at,
        report=report,
        headline=_headline(report),
        stages=STAGES,
        outcomes=[(outcome, _written(outcome), VERDICTS[outcome.met]) for outcome in outcomes(report)],
        endpoint_columns=ENDPOINT_COLUMNS,
        endpoints=[(figures.title, _rows(report, place)) for place, figures in enumerate(report.stages[0].endpoints)],
        playbooks=[(PurePath(path).name, seconds) for path, seconds in report.tuning.playbooks],
        curves=list(_curves(report)),
        closing=_closing(report),
    )


def _rows(report: DemoReport, place: int) -> list[tuple[str, tuple[str, ...]]]:
    return [(STAGES[number], _cells(stage.endpoints[place])) for number, stage in enumerate(report.stages)]


def _curves(report: DemoReport) -> Iterator[tuple[str, Curves]]:
    from dbtune.render.charts import curves

    before = _thinned(report.stages[0].latencies_s)
    for number in (1, 2):
        chart = curves(
            f"requests-{number}", "Times of all requests", before, _thinned(report.stages[number].latencies_s)
        )
        if chart is not None:
            yield f"As found, and after the {STAGES[number]}", chart


def _thinned(latencies_s: Sequence[float]) -> list[float]:
    """At most CURVE_POINTS of them, evenly by rank, the slowest included: a hundred thousand would be megabytes."""
    ordered = sorted(latencies_s)
    step = max(len(ordered) // CURVE_POINTS, 1)
    return ordered[::-step][::-1]


def _headline(report: DemoReport) -> str:
    traffic = [format_duration(stage.duration_s) for stage in report.stages]
    return (
        f"{report.rows:,} rows ({format_size(report.size_bytes)}) loaded in {format_duration(report.load_s)};"
        f" {report.clients} clients, {', '.join(traffic[:-1])} and {traffic[-1]} of traffic, on {report.target}."
    )


def _closing(report: DemoReport) -> list[str]:
    lines = [
        f"{TOO_FEW}: too few requests; a P95 takes {samples_needed(0.95)} of them, a P99 {samples_needed(0.99)}.",
        f"The whole took {format_duration(report.duration_s)}; nothing is left running.",
    ]
    if report.baselines:
        names = report.baselines
        lines.append(f"What made the difference: dbtune baseline compare {names[0]} {names[-1]}")
    if report.report_path:
        lines.append(f"The report: {report.report_path}")
    return lines


def _written(outcome: Outcome) -> tuple[str, str, str]:
    first, second, third = (_value(value, outcome.kind) for value in outcome.values)
    return first, second, third


def _value(value: float | None, kind: Kind) -> str:
    if value is None:
        return TOO_FEW
    match kind:
        case "duration":
            return format_duration(value)
        case "rate":
            return f"{value:,.0f}"
        case "share":
            return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"
        case _:
            return f"{value:.0f}"


def _cells(figures: EndpointFigures) -> tuple[str, ...]:
    latencies = (figures.latencies.p50_s, figures.latencies.p95_s, figures.latencies.p99_s)
    times = (TOO_FEW if value is None else format_duration(value) for value in latencies)
    return (*times, f"{figures.requests_per_s:,.1f}", f"{figures.statements_per_request:.1f}", str(figures.errors))


RENDERERS: Renderers[DemoReport] = {
    "terminal": render_terminal,
    "json": render_json,
    "markdown": render_markdown,
    "html": render_html,
}
