"""A comparison for a terminal, as benchstat prints: readable in 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbtune.baseline.gates import say
from dbtune.baseline.outcome import Comparison, Metric, PlanChange, StatementChange
from dbtune.baseline.verdict import Verdict
from dbtune.core.formats import Screen
from dbtune.core.units import format_duration, format_size
from dbtune.render import baseline_words as words
from dbtune.render.paint import paint
from dbtune.render.text import one_line

_STYLES = {"good": "green", "bad": "bold red", "same": "blue", "open": "yellow"}
_TOP = 10


def render(report: Comparison, screen: Screen) -> str:
    return paint(screen, _parts(report, screen))


def _parts(report: Comparison, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble(
        (f"{one_line(report.before.name)} → {one_line(report.after.name)}", "bold"), f" on {one_line(report.target)}"
    )
    style = _STYLES[words.TONES[report.verdict]]
    yield Text.assemble((words.WORDS[report.verdict], style), f": {words.headline(report)}")
    loud: tuple[Verdict, ...] = ("regressed", "improved")
    for verdict in loud:
        found = words.standouts(report, verdict)
        if found is not None:
            yield Text(f"{verdict}: {one_line(found)}", style=_STYLES[words.TONES[verdict]])
    yield Text(words.explanation(report), style="dim")
    yield from _gates(report)
    for name, metrics in words.by_subject(report.metrics).items():
        yield Text()
        yield Text(one_line(name), style="bold")
        yield from _metrics(metrics, screen)
    for line in (words.means(report), words.split(report)):
        if line is not None:
            yield Text()
            yield Text(line)
    yield from _statements(report, screen)
    yield from _plans(report.plans)
    yield from _tables(report)
    yield from _trust(report)


def _gates(report: Comparison) -> Iterator[RenderableType]:
    if not report.gates:
        return
    yield Text()
    yield Text("Gates", style="bold")
    for gate in report.gates:
        mark = ("holds", "green") if gate.ok else ("does not hold", "bold red")
        yield Padding(Text.assemble(mark, f"  {one_line(say(gate))}"), (0, 0, 0, 2))


def _metrics(metrics: list[Metric], screen: Screen) -> Iterator[RenderableType]:
    rows = [
        (
            Text(words.subject(metric.name)[1]),
            Text(words.before(metric)),
            Text(words.after(metric)),
            Text(words.change(metric)),
            Text(f"n={words.samples(metric)}" if not metric.exact else "exact", style="dim"),
            _verdict(metric),
        )
        for metric in metrics
    ]
    # Of a line that is too long the blanks go first, then the numbers of samples: a verdict is never cut off.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    least = sum(widths[1:]) + max((len(word) for name, *_ in rows for word in name.plain.split()), default=0)
    wide, fits = (least + blanks * len(widths) <= screen.width for blanks in (2, 1))
    table = Table.grid(padding=(0, 2 if wide else 1, 0, 0), expand=False)
    table.add_column(overflow="fold", min_width=6)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True, min_width=11 if wide else None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=fits, overflow="fold")
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_row(*row)
    yield table
    reasons: dict[str, list[str]] = {}
    for metric in metrics:
        reason = words.why(metric)
        if reason is not None and not metric.informative:
            reasons.setdefault(reason, []).append(words.subject(metric.name)[1])
    for reason, labels in reasons.items():
        yield Padding(Text(f"{', '.join(labels)}: {one_line(reason)}", style="dim"), (0, 0, 0, 2))


def _verdict(metric: Metric) -> Text:
    if metric.informative:
        return Text()
    return Text(words.WORDS[metric.verdict], style=_STYLES[words.TONES[metric.verdict]])


def _statements(report: Comparison, screen: Screen) -> Iterator[RenderableType]:
    shown = report.statements if screen.verbose else report.statements[:_TOP]
    if not shown:
        return
    yield Text()
    rest = len(report.statements) - len(shown)
    more = f" (the first {len(shown)} of {len(report.statements)}; --verbose shows all)" if rest else ""
    yield Text.assemble(("Statements, most time first", "bold"), more)
    for statement in shown:
        yield from _statement(statement, screen)


def _statement(statement: StatementChange, screen: Screen) -> Iterator[RenderableType]:
    text = one_line(statement.query) if statement.query is not None else f"queryid {statement.queryids[0]}"
    room = screen.width - 2
    if not screen.verbose and len(text) > room:
        text = text[: room - 1] + "…"
    yield Padding(Text(text), (0, 0, 0, 2))
    time = statement.time
    figures = Text.assemble(
        f"{words.before(time)}  {words.after(time)}  {words.change(time)}  ",
        (f"n={words.samples(time)} ", "dim"),
        _verdict(time),
    )
    yield Padding(figures, (0, 0, 0, 6))
    detail = f"calls {words.calls(statement)}, blocks a call {words.blocks(statement)}"
    if not statement.toplevel:
        detail += ", nested"
    reason = words.why(time)
    yield Padding(Text(f"{detail}; {one_line(reason)}" if reason else detail, style="dim"), (0, 0, 0, 6))
    used = words.indexes(statement)
    if used is not None and used[0] != used[1]:
        yield Padding(Text(f"index used: {used[0]} → {used[1]}", style="dim"), (0, 0, 0, 6))
    for cause in statement.causes:
        yield Padding(Text(f"because {one_line(cause)}", style="dim"), (0, 0, 0, 6))


def _plans(plans: tuple[PlanChange, ...]) -> Iterator[RenderableType]:
    if not plans:
        return
    yield Text()
    yield Text("Plans", style="bold")
    for plan in plans:
        state = "changed" if plan.changed else "the same" if plan.before and plan.after else "known on one side only"
        yield Padding(Text(f"{one_line(plan.name)}: {state}"), (0, 0, 0, 2))
        sides = (
            (("before", plan.before), ("after", plan.after)) if plan.changed else ((" ", plan.after or plan.before),)
        )
        for label, lines in sides:
            for place, line in enumerate(lines or ()):
                yield Padding(Text(f"{label if place == 0 else '':<7}{_plan_line(line)}", style="dim"), (0, 0, 0, 4))


def _plan_line(line: str) -> str:
    return " " * (len(line) - len(line.lstrip())) + one_line(line)


def _tables(report: Comparison) -> Iterator[RenderableType]:
    fresh = [table for table in report.tables if table.new_indexes]
    if not fresh:
        return
    yield Text()
    yield Text("New indexes", style="bold")
    for table in fresh:
        indexes = ", ".join(_index(name, report) for name in table.new_indexes)
        yield Padding(Text(f"{one_line(table.table)}: {indexes}"), (0, 0, 0, 2))
        yield Padding(
            Text(
                f"rows read sequentially {table.seq_rows_before:,.0f}/s → {table.seq_rows_after:,.0f}/s,"
                f" index scans {table.index_scans_before:,.0f}/s → {table.index_scans_after:,.0f}/s",
                style="dim",
            ),
            (0, 0, 0, 4),
        )


def _index(name: str, report: Comparison) -> str:
    """`users_email_idx (1.2 MB, built in 340ms)`, as far as that is known."""
    known = next((index for index in report.new_indexes if index.name == name), None)
    facts = [] if known is None else [
        *([format_size(known.size_bytes)] if known.size_bytes else []),
        *([f"built in {format_duration(known.build_s)}"] if known.build_s is not None else []),
    ]  # fmt: skip
    return f"{one_line(name)} ({', '.join(facts)})" if facts else one_line(name)


def _trust(report: Comparison) -> Iterator[RenderableType]:
    trust = report.trust
    if not trust.notes and not trust.settings_differ:
        return
    yield Text()
    yield Text("What to trust", style="bold")
    styles = {"invalid": "bold red", "warning": "yellow", "info": "dim"}
    for note in trust.notes:
        yield Padding(
            Text.assemble((one_line(note.subject), styles[note.level]), f": {one_line(note.message)}"), (0, 0, 0, 2)
        )
        if note.hint:
            yield Padding(Text(one_line(note.hint), style="dim"), (0, 0, 0, 4))
    for name, (old, new) in trust.settings_differ.items():
        text = f"{one_line(name)} was {one_line(old or words.NOT_KNOWN)}, then {one_line(new or words.NOT_KNOWN)}"
        yield Padding(Text(text), (0, 0, 0, 2))
