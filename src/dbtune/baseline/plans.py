"""Plans before and after: their shape, without the numbers that differ from run to run, and what changed in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from dbtune.baseline.capture import NamedPlan
from dbtune.baseline.outcome import PlanChange
from dbtune.plans.tree import nodes

_DEEPEST = 200
"""A plan nested deeper is cut: nobody reads it, and no stack should depend on a file."""


def shape(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """One line per node, indented by its depth: `Index Scan using i on t`."""
    root = plan.get("Plan")
    return tuple(_lines(root, 0)) if isinstance(root, Mapping) else ()


def compare_plans(before: Sequence[NamedPlan], after: Sequence[NamedPlan]) -> tuple[PlanChange, ...]:
    """Those captured under a name; statements of pg_stat_statements carry their own."""
    old = {plan.name: plan for plan in before if plan.queryid is None}
    new = {plan.name: plan for plan in after if plan.queryid is None}
    return tuple(compare_plan(old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new]))


def compare_plan(before: NamedPlan | None, after: NamedPlan | None) -> PlanChange:
    """Raises ValueError where both are None."""
    shown = after or before
    if shown is None:
        raise ValueError("a plan that nobody captured")
    lines = shape(before.plan) if before else None, shape(after.plan) if after else None
    marks = _marks(lines[0] or (), lines[1] or ()) if before and after else ((), ())
    return PlanChange(
        name=shown.name,
        sql=shown.sql,
        before=lines[0],
        after=lines[1],
        cost_before=_cost(before),
        cost_after=_cost(after),
        changed_before=marks[0],
        changed_after=marks[1],
    )


def indexes_of(plan: NamedPlan | None) -> tuple[str, ...]:
    """The indexes that a plan reads, each once, in the order of the plan."""
    if plan is None or not isinstance(plan.plan.get("Plan"), Mapping):
        return ()
    return tuple(dict.fromkeys(str(node["Index Name"]) for node in nodes(plan.plan) if "Index Name" in node))


def _marks(old: Sequence[str], new: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lines that the other side does not have. Depth does not count: a node that moved is the same node."""
    matcher = SequenceMatcher(None, [line.strip() for line in old], [line.strip() for line in new], autojunk=False)
    lost: list[int] = []
    won: list[int] = []
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind != "equal":
            lost.extend(range(old_from, old_to))
            won.extend(range(new_from, new_to))
    return tuple(lost), tuple(won)


def _lines(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    text = str(node.get("Node Type", "?"))
    if node.get("Join Type") not in (None, "Inner"):
        text = f"{text} ({node['Join Type']})"
    if "Index Name" in node:
        text += f" using {node['Index Name']}"
    if "Relation Name" in node:
        text += f" on {node['Relation Name']}"
    yield "  " * depth + text
    if depth >= _DEEPEST:
        yield "  " * (depth + 1) + "…"
        return
    for child in node.get("Plans", ()):
        yield from _lines(child, depth + 1)


def _cost(plan: NamedPlan | None) -> float | None:
    root = plan.plan.get("Plan") if plan is not None else None
    cost = root.get("Total Cost") if isinstance(root, Mapping) else None
    return float(cost) if isinstance(cost, int | float) else None
