"""A comparison as Markdown, for a pull request or an issue."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.baseline.gates import say
from dbtune.baseline.outcome import Comparison, Metric, StatementChange
from dbtune.core.formats import Screen
from dbtune.render import baseline_words as words
from dbtune.render.text import markdown, markdown_code

_MARKS = {"improved": "✅", "regressed": "❌", "no_change": "➖", "inconclusive": "❔"}
_TOP = 20


def render(report: Comparison, screen: Screen) -> str:
    return "\n".join(_lines(report, screen)) + "\n"


def _lines(report: Comparison, screen: Screen) -> Iterator[str]:
    yield f"## {markdown(report.before.name)} → {markdown(report.after.name)}: {words.WORDS[report.verdict]}"
    yield ""
    yield f"On {markdown(report.target)}: {words.headline(report)}. {words.explanation(report)}"
    if report.gates:
        yield ""
        yield "| gate | holds | measured |"
        yield "|---|---|---|"
        for gate in report.gates:
            told = say(gate).removeprefix(f"{gate.expression}: ")
            yield f"| {markdown(gate.expression)} | {'✅' if gate.ok else '❌'} | {markdown(told)} |"
    if report.metrics:
        yield ""
        yield "| metric | before | after | change | n | verdict |"
        yield "|---|---:|---:|---|---|---|"
        yield from (_metric(metric) for metric in report.metrics)
    for line in (words.means(report), words.split(report)):
        if line is not None:
            yield ""
            yield f"{markdown(line)}."
    yield from _statements(report, screen)
    yield from _causes(report)
    yield from _plans(report)
    yield from _trust(report)


def _metric(metric: Metric) -> str:
    verdict = "" if metric.informative else f"{_MARKS[metric.verdict]} {words.WORDS[metric.verdict]}"
    reason = words.why(metric)
    if reason is not None and not metric.informative:
        verdict += f" ({markdown(reason)})"
    cells = (
        markdown(metric.name), words.before(metric), words.after(metric), markdown(words.change(metric)),
        words.samples(metric), verdict,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _statements(report: Comparison, screen: Screen) -> Iterator[str]:
    shown = report.statements if screen.verbose else report.statements[:_TOP]
    if not shown:
        return
    yield ""
    yield "### Statements"
    yield ""
    yield "| statement | time a call before | after | change | calls | blocks a call | verdict |"
    yield "|---|---:|---:|---|---|---|---|"
    yield from (_statement(statement) for statement in shown)
    if len(shown) < len(report.statements):
        yield ""
        yield f"{len(report.statements) - len(shown)} more with less time."


def _statement(statement: StatementChange) -> str:
    text = statement.query if statement.query is not None else f"queryid {statement.queryids[0]}"
    short = text if len(text) <= 160 else text[:159] + "…"
    time = statement.time
    reason = words.why(time)
    verdict = f"{_MARKS[time.verdict]} {words.WORDS[time.verdict]}" + (f" ({markdown(reason)})" if reason else "")
    cells = (
        markdown(short), words.before(time), words.after(time), markdown(words.change(time)), words.calls(statement),
        words.blocks(statement), verdict,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _causes(report: Comparison) -> Iterator[str]:
    found = [(change, cause) for change in report.statements for cause in change.causes]
    if not found:
        return
    yield ""
    yield "### Why"
    yield ""
    for change, cause in found:
        text = change.query or f"queryid {change.queryids[0]}"
        yield f"- {markdown(text if len(text) <= 100 else text[:99] + '…')}: {markdown(cause)}"


def _plans(report: Comparison) -> Iterator[str]:
    changed = [plan for plan in report.plans if plan.changed]
    if not changed:
        return
    yield ""
    yield "### Plans that changed"
    for plan in changed:
        yield ""
        yield f"**{markdown(plan.name)}**"
        yield ""
        lines = [*(f"- {line}" for line in plan.before or ()), *(f"+ {line}" for line in plan.after or ())]
        yield markdown_code("\n".join(lines), "diff")


def _trust(report: Comparison) -> Iterator[str]:
    trust = report.trust
    if not trust.notes and not trust.settings_differ:
        return
    yield ""
    yield "### What to trust"
    yield ""
    for note in trust.notes:
        hint = f" — {markdown(note.hint)}" if note.hint else ""
        yield f"- **{markdown(note.subject)}** ({note.level}): {markdown(note.message)}{hint}"
    for name, (old, new) in trust.settings_differ.items():
        yield f"- **{markdown(name)}** was {markdown(old or words.NOT_KNOWN)}, then {markdown(new or words.NOT_KNOWN)}"
