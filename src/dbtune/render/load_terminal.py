"""A load on a screen or two: the verdict, thresholds, figures by script and by stage, its course."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dbtune.baseline.load_result import LoadResult
from dbtune.core.formats import Screen
from dbtune.load.report import LoadOutcome, LoadReport
from dbtune.render import load_words as words
from dbtune.render.paint import paint
from dbtune.render.text import one_line

_STYLES = {"good": "bold green", "bad": "bold red", "same": "bold blue"}
_BARS = "▁▂▃▄▅▆▇█"
_MOST_ERRORS = 8
_WIDE = 100


def render(report: LoadReport, screen: Screen) -> str:
    return paint(screen, _lines(report, screen))


def _lines(report: LoadReport, screen: Screen) -> Iterator[RenderableType]:
    yield Text(f"Load of {one_line(report.target)}, from {one_line(report.playbook)}")
    if said := words.wording(report):
        yield Text(said)
    for outcome in report.loads:
        yield Text("")
        yield from _load(outcome, screen)
    if report.interrupted:
        yield Text("")
        yield Text("interrupted", style=_STYLES["bad"])


def _load(outcome: LoadOutcome, screen: Screen) -> Iterator[RenderableType]:
    tone = _STYLES[words.TONES[outcome.verdict]]
    yield Text.assemble((words.WORDS[outcome.verdict].upper(), tone), "  ", (one_line(outcome.name), "bold"))
    yield Text(words.headline(outcome))
    yield Text(f"{words.engine(outcome)}; {outcome.result.profile}", style="dim")
    for broken in outcome.broken:
        yield Text(f"✗ {one_line(broken)}", style="red")
    for found in outcome.thresholds:
        gate = found.gate
        mark, style = ("✓", "green") if gate.ok else ("✗", "red")
        reason = f"  ({one_line(gate.reason)})" if gate.reason else ""
        ended = "  it ended the load" if found.aborted else ""
        value = words.gate_value(gate, gate.value)
        yield Text(f"{mark} {one_line(found.key)}: {one_line(gate.expression)}  {value}{ended}{reason}", style=style)
    yield Text("")
    yield _figures(outcome.result, screen)
    if len(outcome.stages) > 1:
        yield Text("")
        yield _stages(outcome)
    yield from _course(outcome.result, screen)
    for number, (message, count) in enumerate(outcome.result.errors.items()):
        if number == _MOST_ERRORS:
            yield Text(f"and {len(outcome.result.errors) - _MOST_ERRORS} more kinds of errors")
            break
        yield Text(f"error {count:,}×: {one_line(message)}", style="red")
    for note in outcome.remarks:
        yield Text(f"note: {one_line(note)}", style="dim")


def _table(first: str, names: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold", min_width=10, header_style="dim")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True, header_style="dim")
    return table


def _figures(result: LoadResult, screen: Screen) -> Table:
    shares = words.PERCENTILES if screen.width >= _WIDE else words.FEW
    named = [words.percentile_name(share) for share in shares]
    table = _table("", ["requests", "rate", "failed", "mean", *named, "max"])
    for row in words.rows(result):
        table.add_row(
            Text(one_line(row.title)),
            row.sent_text,
            row.per_s,
            row.failed_text,
            words.mean(row.times),
            *(words.percentile(row.times, share) for share in shares),
            row.most,
        )
    return table


def _stages(outcome: LoadOutcome) -> Table:
    table = _table("stage", ["requests", "per s", "failed", "dropped", "P50", "P95", "P99"])
    for stage in outcome.stages:
        table.add_row(
            Text(one_line(stage.title)),
            f"{stage.sent:,}",
            words.number((stage.sent - stage.failed) / stage.duration_s) if stage.duration_s > 0 else words.NOTHING,
            f"{stage.failed:,}",
            f"{stage.dropped:,}",
            *(words.percentile(stage.response, share) for share in (0.5, 0.95, 0.99)),
        )
    return table


def _course(result: LoadResult, screen: Screen) -> Iterator[Text]:
    if len(result.series) < 3:
        return
    width = max(min(screen.width - 30, 60), 10)
    rates = [moment.rate for moment in result.series]
    slow = [moment.p95_s or 0.0 for moment in result.series]
    yield Text("")
    yield Text(f"per s  {_bars(rates, width)}  up to {words.number(max(rates))}/s")
    yield Text(f"P95    {_bars(slow, width)}  up to {words.time(max(slow))}")


def _bars(values: Sequence[float], width: int) -> str:
    """Each bar the largest of its stretch, so that a peak is never averaged away."""
    count = min(len(values), width)
    groups = [values[place * len(values) // count : (place + 1) * len(values) // count] for place in range(count)]
    tops = [max(group) for group in groups]
    most = max(tops) or 1.0
    return "".join(_BARS[min(int(top / most * len(_BARS)), len(_BARS) - 1)] for top in tops)
