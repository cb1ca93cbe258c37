"""What every form of advice says, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dbtune.advisor.advice import Advice, Drop, Recommendation, Rejected, Served, Timing
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.texts import tokens
from dbtune.advisor.workload import NotExamined
from dbtune.core.units import format_duration, format_size
from dbtune.render.text import one_line

TIMED = ("Calls", "Before", "After", "Change", "Statement")
HEADINGS = ("", "Index", "Size", "Build", "Worth", "Writes", "Known by")
_LONGEST = 300
_LONG_LIST, _SUCH = 60, 60
"""Characters before FROM, and of a statement that was not examined."""
_MINUTES_FROM_S = 100
_LEAST_WHOLE, _LEAST_SHOWN, _LEAST_PAID, _NEARLY_ALL, _GAINS = 0.01, 0.0001, 0.001, 0.995, 0.99
_NOTABLE = 1.05


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
        existing = f"{len(report.drops)} existing index{'es' if len(report.drops) > 1 else ''}"
        parts.append(f"{existing} can go, which frees {freed}")
    return "; ".join(parts) + "."


def share(value: float) -> str:
    """`99.97 %`: as many digits as tell it apart from all."""
    percent = value * 100
    return f"{percent:.0f} %" if percent < 99 else f"{percent:.2f} %" if percent < 99.995 else "99.99 %"


def proof(report: Advice) -> str:
    """How it is known, and of how much."""
    known = "Estimated by the planner on a statistics twin; nothing was run or changed on the server."
    if any(one.confidence == "measured" for one in report.recommendations):
        known = "Measured on real indexes, which are dropped again."
    count = f"{report.statements} statement{'s' if report.statements != 1 else ''}"
    part = f", {share(report.examined_share)} of all calls," if report.examined_share < _NEARLY_ALL else ""
    return f"{known} {count}{part} examined."


def overview(report: Advice) -> Iterator[tuple[str, ...]]:
    """A row for each index, under HEADINGS."""
    for number, one in enumerate(report.recommendations, start=1):
        yield (
            str(number), short(one.definition), format_size(one.size_bytes), build(one), worth(one, report),
            writes(one) or "-", one.confidence,
        )  # fmt: skip


def short(index: IndexDefinition) -> str:
    """`orders (customer_id, placed desc) where not done`, to be read, not run."""
    name = index.table if index.schema == "public" else f"{index.schema}.{index.table}"
    parts = [name, "" if index.method == "btree" else index.method, f"({', '.join(map(_key, index.keys))})"]
    parts += [f"include ({', '.join(index.include)})"] if index.include else []
    parts += [f"where {index.where}"] if index.where is not None else []
    return one_line(" ".join(filter(None, parts)))


def _key(key: IndexKey) -> str:
    nulls = {None: "", True: "nulls first", False: "nulls last"}[key.nulls_first]
    return " ".join(filter(None, (key.text, key.opclass, "desc" if key.descending else "", nulls)))


def build(index: Recommendation) -> str:
    """A rough figure, so a round one."""
    if index.build_s < 1:
        return "<1 s"
    return f"{round(index.build_s)} s" if index.build_s < _MINUTES_FROM_S else f"{round(index.build_s / 60)} min"


def worth(index: Recommendation, report: Advice) -> str:
    """What the workload would cost more without it, as a part of what it costs now."""
    part = _part(index, report)
    if part >= _LEAST_WHOLE:
        return share(part)
    # What is less than one percent does not look as if it were one.
    return f"{min(part * 100, 0.99):.2f} %" if part >= _LEAST_SHOWN else "<0.01 %"


def left_out(report: Advice) -> str:
    """Which indexes at the end of the list bring next to nothing, so that a person may do without; empty for none.

    Whoever leaves one out cannot drop what it was to replace.
    """
    few = [one for one in report.recommendations if _part(one, report) < _LEAST_WHOLE]
    first = len(report.recommendations) - len(few) + 1
    if not few or first == 1:
        return ""
    size, part = format_size(sum(one.size_bytes for one in few)), sum(_part(one, report) for one in few)
    replaces = not {one.name for one in few}.isdisjoint(one.replaced_by for one in report.drops)
    if len(few) == 1:
        stays = ", and what it replaces must then stay" if replaces else ""
        return f"Number {first} brings less than 1 % and takes {size}: it may be left out{stays}."
    together = f"about {part * 100:.1f} % together, and take {size}"
    stays = ", and what only they replace must then stay" if replaces else ""
    last = first + len(few) - 1
    return f"Numbers {first} to {last} bring less than 1 % each, {together}: they may be left out{stays}."


def _part(index: Recommendation, report: Advice) -> float:
    return index.benefit / report.cost_before if report.cost_before else 0.0


def writes(index: Recommendation) -> str:
    """What writers take of what readers gain; empty where nobody notices. The benefit is what is left of it."""
    part = index.write_cost / max(index.benefit + index.write_cost, 1e-9)
    return f"{part * 100:.1f} %" if part >= _LEAST_PAID else ""


def statement(index: Recommendation) -> str:
    """Of a partitioned table, how its index begins and how many statements it takes: JSON and playbooks have all."""
    first, *rest = index.statements
    if not rest:
        return first
    return f"{index.definition.ddl(name=index.name)}; -- in {len(rest) + 1} statements, partition by partition"


def facts(index: Recommendation, report: Advice) -> str:
    """`44 MB, built in 6 s, worth 12 % of the workload, simulated`."""
    parts = [format_size(index.size_bytes), f"built in {build(index)}", f"worth {worth(index, report)} of the workload"]
    if paid := writes(index):
        parts.append(f"once writers took {paid}")
    return ", ".join([*parts, index.confidence])


def served(index: Recommendation) -> Sequence[Served]:
    """Those that gain; others only use it in the place of another index."""
    gaining = [one for one in index.queries if one.after_s is not None or one.cost_after < one.cost_before * _GAINS]
    return gaining or index.queries


def gain(one: Served) -> str:
    """How a statement changes: seconds where they were measured, else the planner's cost."""
    calls = f"{one.calls:,.0f} calls, " if one.calls != 1 else ""
    if one.before_s is not None and one.after_s is not None:
        least = "over " if one.is_cut else ""
        return f"{calls}{least}{format_duration(one.before_s)} -> {format_duration(one.after_s)}"
    return f"{calls}cost {one.cost_before:,.0f} -> {one.cost_after:,.0f}"


def timed(report: Advice) -> Iterator[tuple[str, ...]]:
    """A row for each measured statement, under TIMED; times are of one call."""
    for one in report.timings:
        least = "over " if one.is_cut else ""
        before, after = f"{least}{format_duration(one.before_s)}", format_duration(one.after_s)
        yield f"{one.calls:,.0f}", before, after, _change(one), brief(one)


def _change(one: Timing) -> str:
    if one.before_s > one.after_s * _NOTABLE:
        return f"{one.before_s / one.after_s:.3g} times as fast" if one.after_s else "faster"
    slower = one.after_s / one.before_s - 1 if one.before_s else 0.0
    return f"{slower * 100:.0f} % slower" if slower > _NOTABLE - 1 else "as before"


def rejected(one: Rejected) -> str:
    """What it was, and why it went."""
    return f"{short(one.definition)}, {one.name}: {one.reason}"


def brief(one: Served | Timing) -> str:
    """As `query`, without a file's directories and a long list of columns: what tells statements apart comes behind."""
    if one.place is not None:
        file, bracket, name = one.place.partition(" (")
        one = replace(one, place=f"{file.rpartition('/')[2]}{bracket}{name}")
    verb, depth = one.query.split(None, 1)[:1], 0
    for token in tokens(one.query) if [word.lower() for word in verb] == ["select"] else ():
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word" and token.text.lower() == "from":
            if token.start > _LONG_LIST:
                return query(replace(one, query=f"{verb[0]} … {one.query[token.start :]}"))
            break
    return query(one)


def query(one: Served | Timing) -> str:
    text = one_line(one.query)[:_LONGEST]
    return f"{one.place}: {text}" if one.place else text


def drop(one: Drop) -> str:
    return f"{one.reason}; {format_size(one.size_bytes)}, {one.confidence}"


def not_examined(report: Advice) -> Iterator[str]:
    """Reasons with their numbers and the first statement of each, the most frequent first; then what the twin lacks."""
    reasons: dict[str, list[NotExamined]] = {}
    for one in report.not_examined:
        reasons.setdefault(one.reason, []).append(one)
    for reason, found in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        count = f"{len(found)} statement{'s' if len(found) > 1 else ''}"
        yield f"{count}: {one_line(reason)}" + _such_as(found)
    for gap in report.gaps:
        yield f"{one_line(gap.check)}: {one_line(gap.reason)}" + (f" ({one_line(gap.hint)})" if gap.hint else "")


def _such_as(found: Sequence[NotExamined]) -> str:
    first = found[0]
    text = one_line(first.query)
    text = text if len(text) <= _SUCH else f"{text[: _SUCH - 1]}…"
    named = ": ".join(filter(None, (first.place and one_line(first.place), text)))
    return f" ({'such as ' if len(found) > 1 else ''}{named})" if named else ""
