"""A load as Markdown, for a merge request or a step's summary."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.core.formats import Screen
from dbtune.load.report import LoadOutcome, LoadReport
from dbtune.render import load_words as words
from dbtune.render.text import markdown


def render(report: LoadReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return "\n".join(_lines(report))


def _lines(report: LoadReport) -> Iterator[str]:
    yield f"# Load of {markdown(report.target)}: {words.WORDS[report.verdict]}"
    yield ""
    yield f"From {markdown(report.playbook)}. {markdown(words.wording(report))}".rstrip()
    for outcome in report.loads:
        yield ""
        yield from _load(outcome)


def _load(outcome: LoadOutcome) -> Iterator[str]:
    yield f"## {markdown(outcome.name)}: {words.WORDS[outcome.verdict]}"
    yield ""
    yield f"{markdown(words.headline(outcome))}."
    yield ""
    yield f"{markdown(words.engine(outcome))}; {markdown(outcome.result.profile)}."
    yield ""
    for broken in outcome.broken:
        yield f"- **{markdown(broken)}**"
    if outcome.thresholds:
        yield from _thresholds(outcome)
    yield from _figures(outcome)
    if len(outcome.stages) > 1:
        yield from _stages(outcome)
    for message, count in outcome.result.errors.items():
        yield f"- {count:,}× {markdown(message)}"
    for note in outcome.remarks:
        yield f"- {markdown(note)}"


def _thresholds(outcome: LoadOutcome) -> Iterator[str]:
    yield from ("| threshold | value | limit | |", "|---|---:|---:|---|")
    for found in outcome.thresholds:
        gate = found.gate
        value, limit = (words.gate_value(gate, side) for side in (gate.value, gate.limit))
        said = "met" if gate.ok else "**missed**"
        reason = f": {markdown(gate.reason)}" if gate.reason else ""
        ended = ", it ended the load" if found.aborted else ""
        yield f"| {markdown(found.key)}: {markdown(gate.expression)} | {value} | {limit} | {said}{ended}{reason} |"
    yield ""


def _figures(outcome: LoadOutcome) -> Iterator[str]:
    named = [words.percentile_name(share) for share in words.PERCENTILES]
    yield f"| | requests | rate | failed | mean | {' | '.join(named)} | max |"
    yield f"|---|{'---:|' * (5 + len(named))}"
    for row in words.rows(outcome.result):
        times = " | ".join(words.percentile(row.times, share) for share in words.PERCENTILES)
        figures = f"{row.sent_text} | {row.per_s} | {row.failed_text} | {words.mean(row.times)} | {times} | {row.most}"
        yield f"| {markdown(row.title)} | {figures} |"
    yield ""


def _stages(outcome: LoadOutcome) -> Iterator[str]:
    yield from ("| stage | requests | rate | failed | dropped | P50 | P95 | P99 |", "|---|" + "---:|" * 7)
    for stage in outcome.stages:
        times = " | ".join(words.percentile(stage.response, share) for share in words.FEW)
        rate = words.rate(stage.sent - stage.failed, stage.duration_s)
        title = markdown(stage.title)
        yield f"| {title} | {stage.sent:,} | {rate} | {stage.failed:,} | {stage.dropped:,} | {times} |"
    yield ""
