"""Plans of named statements: their shape, without the numbers that differ from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dbtune.baseline.capture import NamedPlan
from dbtune.baseline.outcome import PlanChange


def shape(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """One line per node, indented by its depth: `Index Scan using i on t`."""
    root = plan.get("Plan")
    return tuple(_lines(root, 0)) if isinstance(root, Mapping) else ()


def compare_plans(before: Sequence[NamedPlan], after: Sequence[NamedPlan]) -> tuple[PlanChange, ...]:
    old = {plan.name: plan for plan in before}
    new = {plan.name: plan for plan in after}
    return tuple(
        PlanChange(
            name=name,
            sql=(new.get(name) or old[name]).sql,
            before=shape(old[name].plan) if name in old else None,
            after=shape(new[name].plan) if name in new else None,
            cost_before=_cost(old.get(name)),
            cost_after=_cost(new.get(name)),
        )
        for name in dict.fromkeys([*old, *new])
    )


def _lines(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    text = str(node.get("Node Type", "?"))
    if node.get("Join Type") not in (None, "Inner"):
        text = f"{text} ({node['Join Type']})"
    if "Index Name" in node:
        text += f" using {node['Index Name']}"
    if "Relation Name" in node:
        text += f" on {node['Relation Name']}"
    yield "  " * depth + text
    for child in node.get("Plans", ()):
        yield from _lines(child, depth + 1)


def _cost(plan: NamedPlan | None) -> float | None:
    root = plan.plan.get("Plan") if plan is not None else None
    cost = root.get("Total Cost") if isinstance(root, Mapping) else None
    return float(cost) if isinstance(cost, int | float) else None
