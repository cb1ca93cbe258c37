"""What every form of an explained statement says: its headline, and each node in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dbtune.core.units import format_duration, format_size
from dbtune.plans.insight import Insight
from dbtune.plans.plan import BLOCK_BYTES, Buffers, Node, Plan
from dbtune.plans.report import ExplainReport
from dbtune.render.text import one_line

DEEPEST = 12
"""Levels that are indented; those below stand at the same place, with their depth said."""


@dataclass(frozen=True, slots=True)
class Row:
    """A node in words. `branch` are the lines of the tree in front of it, `below` those in front of its details."""

    node: Node
    branch: str
    below: str
    title: str
    is_hot: bool
    is_hottest: bool
    time: str
    own_time: str
    rows: str
    estimate: str
    off: str
    buffers: str
    details: tuple[str, ...]


def rows(plan: Plan, *, verbose: bool = False) -> tuple[Row, ...]:
    """The tree, parents first."""
    last = {children[-1].number for node in plan.nodes if (children := plan.children(node))}
    open_levels: list[bool] = []
    found = []
    for node in plan.nodes:
        # Whether the lines of the levels above go on past this node.
        open_levels = [*open_levels[: node.depth], node.number not in last and node.depth > 0]
        branch, below = _branches(open_levels, node, has_children=bool(plan.children(node)))
        found.append(
            Row(
                node=node,
                branch=branch,
                below=below,
                title=one_line(node.title) + (f" ({one_line(node.subplan)})" if node.subplan else ""),
                is_hot=node.number in plan.hot_path,
                is_hottest=node.number == plan.hottest.number and len(plan.nodes) > 1,
                time=_time(node.wall_s, node),
                own_time=_own_time(plan, node),
                rows=_rows(node),
                estimate="" if node.planned_rows is None else f"{node.planned_rows:,.0f}",
                off=off(node),
                buffers=buffer_words(node.buffers),
                details=tuple(_details(node, verbose=verbose)),
            )
        )
    return tuple(found)


def headline(report: ExplainReport) -> str:
    """`executed in 12ms, planned in 0.2ms`, or the estimated cost."""
    plan = report.plan
    parts = []
    if plan.total_s is not None:
        parts.append(f"executed in {format_duration(plan.total_s)}")
    elif plan.is_executed:
        parts.append("executed, not timed")
    else:
        parts.append("not executed")
    if plan.planning_s is not None:
        parts.append(f"planned in {format_duration(plan.planning_s)}")
    if not plan.is_executed and plan.root.total_cost is not None:
        parts.append(f"estimated cost {plan.root.total_cost:,.0f}")
    if plan.root.buffers is not None:
        parts.append(buffer_words(plan.root.buffers))
    return ", ".join(filter(None, parts))


def count(insights: tuple[Insight, ...]) -> str:
    """`3 insights: 1 critical, 2 info`."""
    if not insights:
        return "no insights: nothing here passes a threshold"
    severities = dict.fromkeys(one.severity for one in insights)
    each = ", ".join(f"{sum(one.severity == name for one in insights)} {name}" for name in severities)
    return f"{len(insights)} insight{'' if len(insights) == 1 else 's'}: {each}"


def off(node: Node) -> str:
    """How far the estimate was off: `×12 more`, `×3 fewer`; nothing where it was right within a half."""
    ratio = node.misestimate
    if ratio is None or 2 / 3 < ratio < 1.5:
        return ""
    return f"×{ratio:,.3g} more" if ratio > 1 else f"×{1 / ratio:,.3g} fewer"


def buffer_words(buffers: Buffers | None) -> str:
    """Sizes, since nobody counts in blocks; only what is not zero."""
    if buffers is None:
        return ""
    parts = ((buffers.hit, "hit"), (buffers.read, "read"), (buffers.temp_written, "temp written"))
    return ", ".join(f"{format_size(blocks * BLOCK_BYTES)} {what}" for blocks, what in parts if blocks)


def to_try(insight: Insight) -> str:
    """The action, as a sentence that asks for it."""
    action = one_line(insight.action)
    return action if action.startswith("try ") else f"try: {action}"


def place(insight: Insight) -> str:
    """Where an insight is: `#3 Seq Scan on items`."""
    number = "" if insight.node_number is None else f"#{insight.node_number} "
    return f"{number}{one_line(insight.node)}"


def _branches(open_levels: list[bool], node: Node, *, has_children: bool) -> tuple[str, str]:
    shown = open_levels[1:]
    deeper = ""
    if len(shown) > DEEPEST:
        deeper, shown = f"({node.depth}) ", [*shown[: DEEPEST - 1], shown[-1]]
    above = "".join("│  " if is_open else "   " for is_open in shown[:-1])
    if not shown:
        return "", "│  " if has_children else "   "
    branch = above + ("├─ " if shown[-1] else "└─ ") + deeper
    return branch, above + ("│  " if shown[-1] else "   ") + ("│  " if has_children else "   ")


def _time(seconds: float | None, node: Node) -> str:
    if node.never_executed:
        return "never executed"
    return "" if seconds is None else format_duration(seconds)


def _own_time(plan: Plan, node: Node) -> str:
    if node.never_executed or node.self_s is None:
        return ""
    share = plan.time_share(node)
    return format_duration(node.self_s) + (f" ({share:.0%})" if share is not None else "")


def _rows(node: Node) -> str:
    if node.rows is None or node.never_executed:
        return ""
    loops = f" × {node.loops:,.0f}" if node.loops and node.loops > 1 else ""
    return f"{node.rows:,.0f}{loops}"


def _details(node: Node, *, verbose: bool) -> Iterator[str]:
    """Conditions, and what they removed."""
    for label, text in node.conditions:
        whole = one_line(text)
        yield f"{label}: {whole if verbose or len(whole) <= 160 else whole[:157] + '...'}"
    removed = node.removed
    for name, number in (
        ("filter", removed.by_filter),
        ("join filter", removed.by_join_filter),
        ("recheck", removed.by_recheck),
    ):
        if number:
            yield f"removed by {name}: {number:,.0f} rows"
    if node.heap_fetches:
        yield f"heap fetches: {node.heap_fetches:,}"
    if node.bitmap.lossy:
        yield f"heap blocks: {node.bitmap.exact:,} exact, {node.bitmap.lossy:,} lossy"
    memory = node.memory
    if memory.on_disk_bytes:
        yield f"on disk: {format_size(memory.on_disk_bytes)}"
    if memory.batches is not None and memory.batches > 1:
        yield f"batches: {memory.batches}"
    if node.workers_launched is not None:
        yield f"workers: {node.workers_launched} of {node.workers_planned or 0} planned"
