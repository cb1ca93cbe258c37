"""What a dump of a twin holds, and what it lacks."""

from __future__ import annotations

from dataclasses import asdict

from dbtune.advisor.source_report import DumpReport
from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.render.document import to_json
from dbtune.render.text import one_line


def render_terminal(report: DumpReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    source = report.source
    values = "with" if source.has_values else "without"
    lines = [
        f"{one_line(report.path)}: {format_size(report.size_bytes)}, in {format_duration(report.duration_s)}",
        f"{_counts(report)}; no rows, {values} sample values of columns",
    ]
    if source.not_examined:
        lines += ["", "What it lacks:"]
        for one in source.not_examined:
            hint = f" ({one_line(one.hint)})" if one.hint else ""
            lines.append(f"  {one_line(one.check)}: {one_line(one.reason)}{hint}")
    return "\n".join(lines) + "\n"


def _counts(report: DumpReport) -> str:
    source = report.source
    return f"{len(source.tables)} relations, {len(source.indexes)} indexes, {len(source.statements)} statements"


def render_json(report: DumpReport, screen: Screen) -> str:  # noqa: ARG001
    source = report.source
    head = envelope("dbtune.twin-dump/1", report.target, report.started_at, report.duration_s)
    return to_json(
        head
        | {
            "file": report.path,
            "size_bytes": report.size_bytes,
            "tables": len(source.tables),
            "indexes": len(source.indexes),
            "statements": len(source.statements),
            "rows": False,
            "values": source.has_values,
            "not_examined": [asdict(one) for one in source.not_examined],
        }
    )


RENDERERS: Renderers[DumpReport] = {"terminal": render_terminal, "json": render_json}
