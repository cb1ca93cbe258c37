"""One figure over many baselines."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from dbtune.baseline.gates import format_figure
from dbtune.baseline.trend import SCHEMA, Trend
from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.render.document import to_json
from dbtune.render.paint import paint
from dbtune.render.text import markdown, one_line

_BAR = 24


def _terminal(report: Trend, screen: Screen) -> str:
    most = max((abs(point.value) for point in report.points), default=0.0)
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify)
    for point in report.points:
        bar = "█" * round(abs(point.value) / most * _BAR) if most else ""
        table.add_row(
            Text(f"{point.started_at:%Y-%m-%d %H:%M}"), Text(one_line(point.name)),
            Text(format_figure(point.value, report.unit or "")), Text(bar, style="blue"),
        )  # fmt: skip
    return paint(screen, [Text(f"{one_line(report.metric)}, oldest first", style="bold"), table, Text(_said(report))])


def _said(report: Trend) -> str:
    parts = []
    if report.median is not None:
        parts.append(f"median {format_figure(report.median, report.unit or '')} of {len(report.points)}")
    if report.unusual is not None:
        parts.append("the newest is unusual" if report.unusual else "the newest is as usual")
    if report.missing:
        parts.append(f"{len(report.missing)} did not measure it")
    if report.others:
        parts.append(f"{len(report.others)} of other databases left out")
    return "; ".join(parts)


def _json(report: Trend, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return to_json(
        {
            **envelope(SCHEMA, "", datetime.now(UTC), 0.0),
            "metric": report.metric,
            "unit": report.unit,
            "points": [
                {"name": point.name, "started_at": point.started_at, "value": point.value} for point in report.points
            ],
            "median": report.median,
            "unusual": report.unusual,
            "missing": list(report.missing),
            "other_databases": list(report.others),
        }
    )


def _markdown(report: Trend, screen: Screen) -> str:  # noqa: ARG001 - as above
    lines = [f"| when | baseline | {markdown(report.metric)} |", "|---|---|---:|"]
    for point in report.points:
        value = format_figure(point.value, report.unit or "")
        lines.append(f"| {point.started_at:%Y-%m-%d %H:%M} | {markdown(point.name)} | {value} |")
    return "\n".join([*lines, "", _said(report)]) + "\n"


TREND: Renderers[Trend] = {"terminal": _terminal, "json": _json, "markdown": _markdown}
