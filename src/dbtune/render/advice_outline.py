"""What every form of advice says, in words."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.advisor.advice import Advice, Drop, Recommendation, Served
from dbtune.core.units import format_duration, format_size
from dbtune.render.text import one_line

_LONGEST = 300


def headline(report: Advice) -> str:
    """The answer in one sentence."""
    count = len(report.recommendations)
    if not count and not report.drops:
        return f"No index would help these {report.statements} statements enough, and none is superfluous."
    parts = []
    if count:
        gain = 1 - report.cost_after / report.cost_before if report.cost_before else 0.0
        indexes = f"{count} index{'es' if count > 1 else ''} of {format_size(report.size_bytes)}"
        parts.append(f"{indexes} would make the workload {share(gain)} cheaper")
    if report.drops:
        freed = format_size(sum(one.size_bytes for one in report.drops))
        parts.append(f"{len(report.drops)} can go, which frees {freed}")
    return "; ".join(parts) + "."


def share(value: float) -> str:
    """`99.97 %`: as many digits as tell it apart from all."""
    percent = value * 100
    return f"{percent:.0f} %" if percent < 99 else f"{percent:.2f} %" if percent < 99.995 else "99.99 %"


def proof(report: Advice) -> str:
    if any(one.confidence == "measured" for one in report.recommendations):
        return "Measured on real indexes, which are dropped again."
    return "Estimated by the planner on a statistics twin; nothing was run or changed on the server."


def statement(index: Recommendation) -> str:
    return index.definition.ddl(name=index.name, concurrently=True)


def facts(index: Recommendation) -> str:
    """`44 MB, built in about 6 s, simulated`."""
    parts = [format_size(index.size_bytes), f"built in about {format_duration(max(index.build_s, 0.1))}"]
    if index.write_cost:
        parts.append(f"writes cost {index.write_cost / max(index.benefit, 1e-9):.1%} of what it brings")
    return ", ".join([*parts, index.confidence])


def gain(served: Served) -> str:
    """How a statement changes: seconds where they were measured, else the planner's cost."""
    calls = f"{served.calls:,.0f} calls, " if served.calls != 1 else ""
    if served.before_s is not None and served.after_s is not None:
        return f"{calls}{format_duration(served.before_s)} -> {format_duration(served.after_s)}"
    return f"{calls}cost {served.cost_before:,.0f} -> {served.cost_after:,.0f}"


def query(served: Served) -> str:
    text = one_line(served.query)[:_LONGEST]
    return f"{served.place}: {text}" if served.place else text


def drop(one: Drop) -> str:
    return f"{one.reason}; {format_size(one.size_bytes)}, {one.confidence}"


def not_examined(report: Advice) -> Iterator[str]:
    """Reasons with their numbers, the most frequent first; then what the twin lacks."""
    reasons: dict[str, int] = {}
    for one in report.not_examined:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count} statement{'s' if count > 1 else ''}: {one_line(reason)}"
    for gap in report.gaps:
        yield f"{one_line(gap.check)}: {one_line(gap.reason)}" + (f" ({one_line(gap.hint)})" if gap.hint else "")
