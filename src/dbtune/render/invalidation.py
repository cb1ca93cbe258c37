"""An invalidation in every form. Each is made only when it is used."""

from __future__ import annotations

from typing import Any

from dbtune.core.formats import Renderers, Screen
from dbtune.core.invalidation import InvalidationReport, Removal
from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.render.document import to_json
from dbtune.render.text import capitalized, markdown, one_line

HEADINGS = ("what", "keys", "memory", "gone already", "failed", "took")


def summary(report: InvalidationReport) -> str:
    """`1,204 keys are gone, 3 had gone already. Took 12ms.`"""
    would = "would go" if report.dry_run else "are gone" if report.keys != 1 else "is gone"
    skipped = sum(step.skipped for step in report.steps)
    failed = sum(step.failed for step in report.steps)
    parts = [f"{report.keys:,} {'key' if report.keys == 1 else 'keys'} {would}"]
    parts += [f"{skipped:,} had gone already"] if skipped else []
    parts += [f"{failed:,} failed"] if failed else []
    if report.dry_run and report.keyspace:
        parts.append(f"{report.keys / report.keyspace:.1%} of {report.keyspace:,}")
    return f"{', '.join(parts)}. Took {format_duration(report.duration_s)}."


def title(report: InvalidationReport) -> str:
    what = "dry run of an invalidation" if report.dry_run else "invalidation"
    return f"{what} on {one_line(report.target)}"


def row(step: Removal) -> tuple[str, ...]:
    """One cell for each of HEADINGS."""
    return (
        one_line(step.name),
        f"{step.keys:,}",
        format_size(step.size_bytes),
        f"{step.skipped:,}",
        f"{step.failed:,}",
        format_duration(step.duration_s),
    )


def details(report: InvalidationReport) -> list[tuple[str, str]]:
    """(what, text): samples of a dry run, what should be known, and whatever went wrong."""
    found = []
    for step in report.steps:
        if report.dry_run and step.sample:
            found.append((one_line(step.name), f"such as {', '.join(map(one_line, step.sample))}"))
        found += [(one_line(step.name), one_line(note)) for note in step.notes]
    return found + _errors(report)


def _errors(report: InvalidationReport) -> list[tuple[str, str]]:
    """What went wrong, once, with all that it befell."""
    befallen: dict[str, list[str]] = {}
    for step in report.steps:
        if step.error:
            told = one_line(f"{step.error} ({step.hint})" if step.hint else step.error)
            befallen.setdefault(told, []).append(one_line(step.name))
    return [(", ".join(names), told) for told, names in befallen.items()]


def render_terminal(report: InvalidationReport, screen: Screen) -> str:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from dbtune.render.paint import paint

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if number == 0 else "right", overflow="fold")
    for step in report.steps:
        table.add_row(*(Text(cell, style="red" if step.error else "") for cell in row(step)))
    notes = [Text(f"{name}: {text}") for name, text in details(report)]
    parts: list[RenderableType] = [table, Text()] if report.steps else []
    return paint(screen, [Text(title(report), style="bold"), Text(), *parts, *notes, Text(summary(report))])


def as_line(report: InvalidationReport, *, as_json: bool = False) -> str:
    """One line of a log: `12:00:05 content.updated content_id=42: 3 keys are gone. Took 2ms.`"""
    if as_json:
        import json

        return json.dumps(json.loads(render_json(report, Screen())))
    events = "; ".join(report.events[:5]) + (f" and {len(report.events) - 5:,} more" if len(report.events) > 5 else "")
    errors = "".join(f" {name}: {text}" for name, text in _errors(report))
    return one_line(f"{report.started_at:%H:%M:%S} {events}: {summary(report)}{errors}")


def render_json(report: InvalidationReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return to_json(
        envelope("dbtune.invalidate/1", report.target, report.started_at, report.duration_s)
        | {
            "dry_run": report.dry_run,
            "playbook": report.playbook,
            "events": list(report.events),
            "keyspace": report.keyspace,
            "steps": [_step(step) for step in report.steps],
        }
    )


def _step(step: Removal) -> dict[str, Any]:
    return {
        "name": step.name,
        "keys": step.keys,
        "bytes": step.size_bytes,
        "skipped": step.skipped,
        "failed": step.failed,
        "duration_s": round(step.duration_s, 6),
        "keys_per_s": None if step.keys_per_s is None else round(step.keys_per_s, 1),
        "sample": list(step.sample),
        "notes": list(step.notes),
        "error": step.error,
        "hint": step.hint,
    }


def render_markdown(report: InvalidationReport, screen: Screen) -> str:  # noqa: ARG001
    lines = [f"# {markdown(capitalized(title(report)))}", "", markdown(summary(report)), ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|---{'|---:' * (len(HEADINGS) - 1)}|"]
    lines += [f"| {' | '.join(map(markdown, row(step)))} |" for step in report.steps]
    lines += [line for name, text in details(report) for line in ("", f"- {markdown(name)}: {markdown(text)}")]
    return "\n".join(lines) + "\n"


def render_html(report: InvalidationReport, screen: Screen) -> str:  # noqa: ARG001
    from dbtune.render.page import render_page

    return render_page(
        "ledger.html",
        made_at=report.started_at,
        heading=title(report),
        caption="What was stale",
        summary=summary(report),
        tone="bad" if report.exit_code else "good",
        headings=HEADINGS,
        rows=[row(step) for step in report.steps],
        details=details(report),
    )


RENDERERS: Renderers[InvalidationReport] = {
    "terminal": render_terminal,
    "json": render_json,
    "markdown": render_markdown,
    "html": render_html,
}
