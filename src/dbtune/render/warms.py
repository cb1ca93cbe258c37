"""The forms that a warm-up's outcome can be written in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dbtune.core.formats import Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.core.warm_report import WarmedStep, WarmReport
from dbtune.render.text import capitalized, markdown, one_line


def _json(report: WarmReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    from dbtune.render.document import to_json

    return to_json(
        envelope("dbtune.warm/1", report.target, report.started_at, report.duration_s)
        | {
            "playbook": report.playbook,
            "dry_run": report.dry_run,
            "interrupted": report.interrupted,
            "circuit": {"state": report.circuit, "transitions": report.transitions},
            "steps": [_step(step) for step in report.steps],
        }
    )


def _step(step: WarmedStep) -> dict[str, Any]:
    return {
        "id": step.id,
        "name": step.name,
        "status": step.status,
        "keys": step.keys,
        "bytes": step.bytes,
        "skipped": step.skipped,
        "failed": step.failed,
        "kept": step.kept,
        "duplicates": step.duplicates,
        "resumed": step.resumed,
        "attempts": step.attempts,
        "duration_s": round(step.duration_s, 6),
        "keys_per_s": round(step.keys_per_s, 1),
        "reason": step.reason,
        "error": step.error,
        "hint": step.hint,
        "notes": step.notes,
    }


_HEADS = ("step", "keys", "size", "skipped", "failed", "time", "keys/s", "status")


def _cells(step: WarmedStep) -> tuple[str, ...]:
    if step.status == "would_warm":
        return (step.name, f"~{step.keys:,}", "", "", "", "", "", "due")
    if step.status == "not_due":
        return (step.name, "", "", "", "", "", "", "not due")
    if not step.attempts:
        return (step.name, "", "", "", "", "", "", step.status.replace("_", " "))
    return (
        step.name,
        f"{step.keys:,}",
        format_size(step.bytes),
        f"{step.skipped:,}" if step.skipped else "",
        f"{step.failed:,}" if step.failed else "",
        format_duration(step.duration_s),
        f"{step.keys_per_s:,.0f}" if step.keys else "",
        step.status.replace("_", " "),
    )


def _rows(report: WarmReport) -> list[tuple[str, ...]]:
    return [_cells(step) for step in report.steps]


def _words(step: WarmedStep) -> Iterator[str]:
    """What a person should know of the step beside its figures."""
    if step.error is not None:
        yield f"{step.error} ({step.hint})" if step.hint is not None else step.error
    if step.status == "not_due" and step.reason is not None:
        yield step.reason
    yield from step.notes


def _said(step: WarmedStep) -> Iterator[str]:
    return (f"{step.name}: {text}" for text in _words(step))


def _head(report: WarmReport) -> str:
    what = "would warm" if report.dry_run else "warm"
    return f"{what}: {one_line(report.path)}, {one_line(report.target)}"


def _foot(report: WarmReport) -> str:
    keys, failed = sum(step.keys for step in report.steps), sum(step.failed for step in report.steps)
    circuit = f"; the circuit is {report.circuit}" if report.circuit != "closed" else ""
    if report.dry_run:
        return f"about {keys:,} keys would be written{circuit}"
    bad = sum(step.status == "failed" for step in report.steps)
    steps = f"{bad} of {len(report.steps)} steps failed; " if bad else ""
    return f"{steps}{keys:,} keys written, {failed:,} failed, in {format_duration(report.duration_s)}{circuit}"


def _terminal(report: WarmReport, screen: Screen) -> str:
    from rich.table import Table
    from rich.text import Text

    from dbtune.render.paint import paint

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
    for number, head in enumerate(_HEADS):
        table.add_column(head, justify="right" if 0 < number < 7 else "left", overflow="fold")
    for step in report.steps:
        style = {"failed": "bold red", "warmed": "green"}.get(step.status, "")
        table.add_row(*(Text(one_line(cell), style=style if cell == step.status else "") for cell in _cells(step)))
    lines = [Text(one_line(line)) for step in report.steps for line in _said(step)]
    lines += [Text(transition) for transition in report.transitions]
    return paint(screen, [Text(_head(report), style="bold"), Text(), table, Text(), *lines, Text(_foot(report))])


def _markdown(report: WarmReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    rows = [
        _HEADS,
        ("---", *["---:"] * (len(_HEADS) - 2), "---"),
        *(tuple(map(markdown, row)) for row in _rows(report)),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    lines = [*(line for step in report.steps for line in _said(step)), *report.transitions]
    said = "\n".join(f"- {markdown(line)}" for line in lines)
    parts = (f"# {markdown(capitalized(_head(report)))}", table, said, markdown(_foot(report)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(report: WarmReport, screen: Screen) -> str:  # noqa: ARG001
    from dbtune.render.page import render_page

    return render_page(
        "ledger.html",
        made_at=report.started_at,
        heading=_head(report),
        caption="The steps that warm the cache",
        summary=_foot(report),
        tone="bad" if report.exit_code else "good",
        headings=_HEADS,
        rows=[tuple(map(one_line, row)) for row in _rows(report)],
        details=[
            *((one_line(step.name), one_line(text)) for step in report.steps for text in _words(step)),
            *(("circuit", one_line(text)) for text in report.transitions),
        ],
    )


RENDERERS: Renderers[WarmReport] = {"terminal": _terminal, "json": _json, "markdown": _markdown, "html": _html}
