"""Joins that a wrong estimate or a late condition made expensive."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.identifiers import quote
from dbtune.plans.conditions import tables_in, without_literals
from dbtune.plans.insight import Rule, Seen, Surroundings
from dbtune.plans.plan import Node, Plan

UNDERESTIMATED = 10.0
"""pev2's first step for a misestimate."""
LEAST_LOOPS = 1000.0
"""Below it, repeating the inner side costs less than a hash table."""


def nested_loop(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A nested loop repeats its inner side many more times than the planner expected.

    **Why it matters.** A nested loop is right for few rows. With ten times as many, a hash join would have read the
    inner side once.

    **What to do.** Mend the estimate of the outer side (ANALYZE, CREATE STATISTICS). Whether a hash join is better is
    seen at once with enable_nestloop off, in this session only.
    """
    for node in plan.nodes:
        if node.kind != "Nested Loop" or not node.executed:
            continue
        outer = next((child for child in plan.children(node) if child.relationship in (None, "Outer")), None)
        if outer is None or outer.misestimate is None or (outer.total_rows or 0.0) < LEAST_LOOPS:
            continue
        if outer.misestimate > UNDERESTIMATED:
            yield Seen(
                node, outer.misestimate, UNDERESTIMATED,
                f"repeats its inner side {outer.total_rows:,.0f} times, where {outer.planned_rows:,.0f} were expected",
                "analyze the outer side's tables; to see a hash join, set enable_nestloop off and explain again",
                sql=(*_analyze(plan, outer), "set enable_nestloop = off;"),
            )  # fmt: skip


def late_or(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A condition with OR over several tables is checked only after the join.

    **Why it matters.** Neither table can use an index for it: all pairs are made, and most are thrown away.

    **What to do.** Two statements with UNION instead of the OR: each half has a condition on one table, and an index.
    """
    aliases = tuple({node.alias or node.relation or "" for node in plan.nodes if node.relation or node.alias} - {""})
    for node in plan.nodes:
        if not node.is_join:
            continue
        for label in ("Join Filter", "Filter"):
            text = node.condition(label)
            if text is None or " OR " not in without_literals(text):
                continue
            tables = tables_in(text, aliases)
            if len(tables) > 1:
                yield Seen(
                    node, len(tables), 1,
                    f"its {label.lower()} joins {' and '.join(sorted(tables))} by OR: it is checked for every pair",
                    "replace the OR by UNION of two statements, one for each side of it, and explain both",
                )  # fmt: skip


def _analyze(plan: Plan, outer: Node) -> tuple[str, ...]:
    tables = {one.table: one for one in (outer, *plan.below(outer)) if one.relation is not None}
    return tuple(f"analyze {quote(*(part for part in (one.schema, one.relation) if part))};" for one in tables.values())


RULES = (
    Rule("PL024", "nested-loop-underestimated", "factor", nested_loop),
    Rule("PL026", "late-or", "tables", late_or),
)
