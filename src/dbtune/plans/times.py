"""What each node took by itself.

EXPLAIN prints the time of a node with everything below it, per loop, and for parallel workers the mean of processes
that ran side by side. A node's own time is what is left without the nodes that it called. Which those are is not
always the tree: a CTE runs inside the CTE Scans that read it, an InitPlan inside the node that first needs its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from dbtune.plans.plan import Buffers, Node, Plan

_VALUE = re.compile(r"returns (\$\d+(?:,\s*\$\d+)*)")


def with_own_shares(plan: Plan) -> Plan:
    """The plan with `wall_s`, `self_s`, `self_cost` and `own_buffers` of every node."""
    wall = {node.number: _wall(plan, node) for node in plan.nodes}
    spent, cost = dict.fromkeys(wall, 0.0), dict.fromkeys(wall, 0.0)
    below: dict[int, list[Buffers]] = {node.number: [] for node in plan.nodes}
    for node in plan.nodes[1:]:
        for payer, share in _payers(plan, node, wall).items():
            spent[payer] += (wall[node.number] or 0.0) * share
        cost[node.parent or 0] += node.total_cost or 0.0
        if node.buffers is not None:
            below[node.parent or 0].append(node.buffers)
    nodes = tuple(
        replace(
            node,
            wall_s=wall[node.number],
            self_s=_left(wall[node.number], spent[node.number]),
            self_cost=_left(node.total_cost, cost[node.number]),
            own_buffers=_own(node.buffers, below[node.number]),
        )
        for node in plan.nodes
    )
    return replace(plan, nodes=nodes)


def _wall(plan: Plan, node: Node) -> float | None:
    """Elapsed seconds over all loops; the loops of parallel processes lie side by side."""
    if node.loop_s is None or node.loops is None:
        return 0.0 if node.never_executed and plan.root.loop_s is not None else None
    gather = next((above for above in plan.ancestors(node) if above.kind in ("Gather", "Gather Merge")), None)
    processes = 1.0
    if gather is not None and gather.workers_launched:
        processes = min(gather.workers_launched + 1.0, max(node.loops, 1.0))
    return node.loop_s * node.loops / processes


def _payers(plan: Plan, node: Node, wall: Mapping[int, float | None]) -> dict[int, float]:
    """The nodes in whose time this one's is contained, with the share of it that each contains."""
    parent = node.parent or 0
    if node.relationship != "InitPlan" or node.subplan is None:
        return {parent: 1.0}
    attached = plan.nodes[parent - 1]
    if node.subplan.startswith("CTE "):
        name = node.subplan.removeprefix("CTE ")
        readers = [other for other in plan.nodes if other.cte == name]
    else:
        inside = {node.number, *(other.number for other in plan.below(node))}
        readers = [other for other in plan.below(attached) if other.number not in inside and _uses(other, node.subplan)]
        # The lowest one needs the value first, those above find it; for workers their Gather does, before they start.
        lowest = sorted(readers, key=lambda reader: -reader.depth)[:1]
        readers = [_leader(plan, reader, attached) for reader in lowest]
    total = sum(wall[reader.number] or 0.0 for reader in readers)
    if not readers or not total:
        return {parent: 1.0}
    return {reader.number: (wall[reader.number] or 0.0) / total for reader in readers}


def _leader(plan: Plan, reader: Node, attached: Node) -> Node:
    gathers = [
        above
        for above in plan.ancestors(reader)
        if above.kind in ("Gather", "Gather Merge") and above.number > attached.number
    ]
    return gathers[-1] if gathers else reader


def _uses(node: Node, subplan: str) -> bool:
    """Whether a condition or the output mentions the value: `$0` until PostgreSQL 16, `(InitPlan 1).col1` since 17."""
    named = _VALUE.search(subplan)
    values = [re.escape(one.strip()) + r"\b" for one in named[1].split(",")] if named else []
    tokens = values or [rf"\({re.escape(subplan)}\)"]
    texts = [*(text for _, text in node.conditions), node.output or ""]
    return any(re.search(token, text) for token in tokens for text in texts)


def _left(whole: float | None, part: float) -> float | None:
    return None if whole is None else max(whole - part, 0.0)


def _own(whole: Buffers | None, parts: list[Buffers]) -> Buffers | None:
    if whole is None:
        return None
    names = Buffers.__dataclass_fields__
    return Buffers(
        **{name: max(getattr(whole, name) - sum(getattr(part, name) for part in parts), 0) for name in names}
    )
