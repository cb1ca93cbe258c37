"""Captures by themselves: one of them, and the list of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbtune.baseline.capture import Capture
from dbtune.baseline.histogram import quantile as histogram_quantile
from dbtune.baseline.load_result import LoadResult
from dbtune.baseline.statistics import quantile, quantile_interval
from dbtune.core.formats import OutputFormat, Renderers, Screen
from dbtune.core.reports import envelope
from dbtune.core.units import format_duration, format_size
from dbtune.render import baseline_words as words
from dbtune.render.document import to_json
from dbtune.render.paint import paint
from dbtune.render.text import markdown, one_line

_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the store: its capture, or what is wrong with it."""

    name: str
    capture: Capture | None
    problem: str | None = None


def _show_terminal(capture: Capture, screen: Screen) -> str:
    return paint(screen, _parts(capture))


def _parts(capture: Capture) -> Iterator[RenderableType]:
    print_ = capture.fingerprint
    yield Text.assemble((one_line(capture.name), "bold"), f" of {one_line(capture.target)}")
    lasted = f", {format_duration(capture.duration_s)}" if capture.duration_s else ""
    yield Text(f"{capture.started_at:%Y-%m-%d %H:%M:%S %Z}{lasted}")
    extension = f", pg_stat_statements {one_line(print_.extension_version)}" if print_.extension_version else ""
    size = f", {format_size(print_.database_size_bytes)}" if print_.database_size_bytes else ""
    redis = f", {one_line(print_.redis)}" if print_.redis else ""
    if capture.imported:
        yield Text(f"read from a file of {one_line(capture.imported)}")
    else:
        yield Text(f"PostgreSQL {print_.server_version // 10000}{extension}{size}{redis}")
    yield Text(_counted(capture))
    if capture.timings:
        yield Text()
        yield Padding(_timings(capture), (0, 0, 0, 2))
    for load in capture.loads:
        yield Padding(Text(_load(load)), (0, 0, 0, 2))
    for figure in capture.figures:
        yield Padding(Text(f"{one_line(figure.name)}: {words.value(_mean(figure.blocks), figure.unit)}"), (0, 0, 0, 2))
    for text in _plans(capture):
        yield Padding(Text(one_line(text), style="dim"), (0, 0, 0, 2))
    for skipped in capture.skipped:
        yield Text(f"not looked at: {one_line(skipped.check)}: {one_line(skipped.reason)}", style="yellow")
        if skipped.hint:
            yield Padding(Text(one_line(skipped.hint), style="dim"), (0, 0, 0, 2))


def _plans(capture: Capture) -> Iterator[str]:
    """Those that were asked for by name; of the busiest statements' there may be many, called by numbers."""
    busiest = sum(plan.queryid is not None for plan in capture.plans)
    yield from (f"plan of {plan.name}" for plan in capture.plans if plan.queryid is None)
    if busiest:
        yield f"{_count(busiest, 'plan')} of the busiest statements"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _counted(capture: Capture) -> str:
    last = capture.snapshots[-1] if capture.snapshots else None
    if last is None:
        return "no counters"
    statements = len(last.statements.rows) if last.statements else 0
    windows = _count(capture.windows, "sub-window") if capture.windows else "one snapshot (no window)"
    indexes = f"{len(last.indexes):,} index{'' if len(last.indexes) == 1 else 'es'}"
    return f"{windows}; {_count(statements, 'statement')}, {_count(len(last.tables), 'table')}, {indexes}"


def _load(load: LoadResult) -> str:
    """`load (pgbench prepared, closed loop): 12,000 requests, 3 failed, p50 6.7ms, p95 15ms`."""
    whole = load.response
    found = [(label, histogram_quantile(whole, share)) for label, share in _QUANTILES]
    parts = [f"{label} {words.value(value, 's')}" for label, value in found if value is not None]
    parts += [f"{load.failed} failed"] if load.failed else []
    parts += [f"{load.dropped} dropped"] if load.dropped else []
    title = f"{one_line(load.name)} ({one_line(load.engine)}, {load.loop})"
    return f"{title}: {', '.join([_count(load.sent, 'request'), *parts])}"


def _timings(capture: Capture) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for _ in _QUANTILES:
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row("", *(Text(label, style="dim") for label, _ in _QUANTILES), "")
    for timing in capture.timings:
        ordered = sorted(timing.values_s)
        table.add_row(
            Text(one_line(timing.name)),
            *(Text(_quantile(ordered, share)) for _, share in _QUANTILES),
            Text(f"n={len(ordered)}", style="dim"),
        )
    return table


def _quantile(ordered: Sequence[float], share: float) -> str:
    if not ordered:
        return words.NOT_KNOWN
    interval = quantile_interval(ordered, share) if share < 1 else None
    return words.with_spread(quantile(ordered, share), "s", interval)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _show_json(capture: Capture, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    from dbtune.baseline.document import to_json as stored

    return stored(capture)


def _show_markdown(capture: Capture, screen: Screen) -> str:  # noqa: ARG001 - as above
    lines = [f"## {markdown(capture.name)} of {markdown(capture.target)}", "", markdown(_counted(capture)), ""]
    lines += ["| timing | p50 | p95 | p99 | max | n |", "|---|---:|---:|---:|---:|---:|"] if capture.timings else []
    for timing in capture.timings:
        ordered = sorted(timing.values_s)
        cells = [markdown(timing.name), *(_quantile(ordered, share) for _, share in _QUANTILES), str(len(ordered))]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"- {markdown(_load(load))}" for load in capture.loads]
    lines += [f"- not looked at: {markdown(skip.check)}: {markdown(skip.reason)}" for skip in capture.skipped]
    return "\n".join(lines) + "\n"


def _list_terminal(entries: Sequence[Entry], screen: Screen) -> str:
    if not entries:
        return paint(screen, [Text("no baselines yet: dbtune baseline capture NAME makes one")])
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for entry in entries:
        found = entry.capture
        if found is None:
            table.add_row(Text(one_line(entry.name)), Text(one_line(entry.problem or ""), style="red"))
            continue
        table.add_row(
            Text(one_line(entry.name), style="bold"),
            Text(f"{found.started_at:%Y-%m-%d %H:%M:%S}"),
            Text(one_line(found.target)),
            Text(_counted_parts(found)),
        )
    return paint(screen, [table])


def _counted_parts(capture: Capture) -> str:
    """`6 windows, 1 load`: what there is of each."""
    counts = {"window": capture.windows, "timing": len(capture.timings), "load": len(capture.loads),
              "figure": len(capture.figures)}  # fmt: skip
    return ", ".join(_count(count, what) for what, count in counts.items() if count)


def _list_json(entries: Sequence[Entry], screen: Screen) -> str:  # noqa: ARG001 - as above
    from datetime import UTC, datetime

    return to_json(
        {
            **envelope("dbtune.baseline.list/1", "", datetime.now(UTC), 0.0),
            "baselines": [_entry(entry) for entry in entries],
        }
    )


def _entry(entry: Entry) -> dict[str, Any]:
    found = entry.capture
    if found is None:
        return {"name": entry.name, "problem": entry.problem}
    return {
        "name": entry.name,
        "target": found.target,
        "started_at": found.started_at,
        "duration_s": found.duration_s,
        "windows": found.windows,
        "timings": [timing.name for timing in found.timings],
        "loads": [load.name for load in found.loads],
    }


_SHOW: tuple[OutputFormat, ...] = ("terminal", "json", "markdown")
SHOW: Renderers[Capture] = dict(zip(_SHOW, (_show_terminal, _show_json, _show_markdown), strict=True))
LIST: Renderers[Sequence[Entry]] = {"terminal": _list_terminal, "json": _list_json}
