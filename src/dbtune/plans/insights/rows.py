"""How many rows: against the estimate, to the client, skipped, never asked for."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.identifiers import quote
from dbtune.plans.insight import Rule, Seen, Severity, Surroundings, level
from dbtune.plans.plan import Node, Plan

MISESTIMATES = (10.0, 100.0, 1000.0)
"""pev2's steps."""
MOST_ROWS = 10_000
"""joe: more than a page or a program reads with pleasure."""
MOST_SKIPPED = 1000.0
"""Rows that an OFFSET may read and throw away."""
_STOPS_EARLY = ("Limit", "Merge Join")
_READS_ALL = ("Sort", "Hash", "Aggregate", "Materialize", "Incremental Sort", "ModifyTable", "WindowAgg")


def misestimate(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """The planner was wrong about the rows by more than 10, 100 or 1000 times.

    **Why it matters.** From rows follow the kinds of joins, their order and the memory; a wrong number low in the tree
    makes the rest of the plan a guess.

    **What to do.** ANALYZE first. If it stays: more detailed statistics for the column, or CREATE STATISTICS for
    columns that depend on each other; write expressions so that the column stands alone. Nodes that were stopped early
    (below a LIMIT) are left out, and of a chain of wrong nodes only the lowest is named: there the mistake begins.
    """
    wrong = {node.number: found for node in plan.nodes if (found := _misestimated(plan, node)) is not None}
    for number, (factor, threshold, severity) in wrong.items():
        node = plan.nodes[number - 1]
        if any(below.number in wrong for below in plan.below(node)):
            continue
        few = "more" if (node.misestimate or 1) > 1 else "fewer"
        yield Seen(
            node, factor, threshold,
            f"{_count(node.rows)} rows where {_count(node.planned_rows)} were expected: {factor:,.0f} times {few}",
            _better_statistics(node), severity=severity, sql=_analyze(plan, node),
        )  # fmt: skip


def never_executed(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A part of the plan was never executed.

    **Why it matters.** Nothing is wrong, but the time tells nothing of this part: with other values it may run.

    **What to do.** Explain the statement with values for which it runs as well, before you trust the figures.
    """
    for node in plan.nodes:
        above = plan.parent(node)
        if node.never_executed and not (above is not None and above.never_executed):
            yield Seen(
                node, 0, 1, "was never executed: nothing below it ran for these values",
                "explain it again with values for which this part runs (--param), to see what it costs",
                severity="info",
            )  # fmt: skip


def many_rows(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """The statement returns more than 10,000 rows, and has no LIMIT.

    **Why it matters.** Sending, receiving and keeping them costs the server and the client more than finding them.

    **What to do.** Page through them by key (`where id > $1 order by id limit 1000`), aggregate on the server, or use
    a cursor if really all are needed.
    """
    root = plan.root
    rows = root.total_rows if plan.is_executed else root.planned_rows
    limited = any(node.kind == "Limit" for node in plan.nodes)
    if rows is not None and rows > MOST_ROWS and not limited and root.kind != "ModifyTable":
        expected = "" if plan.is_executed else " by the estimate"
        yield Seen(
            root, rows, MOST_ROWS, f"returns {_count(rows)} rows{expected}, without a LIMIT",
            "add `limit 1000` and page by key (`where id > $1 order by id`), or aggregate on the server",
        )  # fmt: skip


def large_offset(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """An OFFSET reads and throws away more than 1,000 rows.

    **Why it matters.** Page n costs n times the first one: every row before it is found and thrown away again.

    **What to do.** Remember the last row of the page before, and ask for what follows it.
    """
    for node in plan.nodes:
        below = plan.children(node)
        if node.kind != "Limit" or not below or not node.executed:
            continue
        skipped = (below[0].total_rows or 0.0) - (node.total_rows or 0.0)
        if skipped > MOST_SKIPPED:
            yield Seen(
                node, skipped, MOST_SKIPPED, f"reads {_count(skipped)} rows only to skip them (OFFSET)",
                "page by key: replace OFFSET by `where (sort columns) > (those of the last row seen)`, same ORDER BY",
            )  # fmt: skip


def _misestimated(plan: Plan, node: Node) -> tuple[float, float, Severity] | None:
    ratio = node.misestimate
    if ratio is None or (ratio < 1 and _may_stop_early(plan, node)):
        return None
    factor = max(ratio, 1 / ratio)
    found = level(factor, MISESTIMATES)
    return None if found is None else (factor, found[1], found[0])


def _may_stop_early(plan: Plan, node: Node) -> bool:
    """Whether something above takes only as many rows as it needs, so that fewer are no mistake of the planner."""
    below = node
    for above in plan.ancestors(node):
        if above.kind in _READS_ALL:
            return False
        if above.kind in _STOPS_EARLY or above.join_type in ("Semi", "Anti", "Right Semi") or below.subplan:
            return True
        below = above
    return False


def _better_statistics(node: Node) -> str:
    if node.relation is None:
        return "analyze the tables below; if it stays, CREATE STATISTICS on columns that depend on each other"
    columns = "CREATE STATISTICS (dependencies, mcv) on the columns of its conditions"
    return f"analyze {node.relation}; if it stays, {columns}"


def _analyze(plan: Plan, node: Node) -> tuple[str, ...]:
    tables = {one.table: one for one in (node, *plan.below(node)) if one.relation is not None}
    names = [quote(*(part for part in (one.schema, one.relation) if part)) for one in tables.values()]
    return tuple(f"analyze {name};" for name in names[:5])


def _count(rows: float | None) -> str:
    return f"{rows or 0:,.0f}"


RULES = (
    Rule("PL003", "row-misestimate", "factor", misestimate),
    Rule("PL009", "never-executed", "loops", never_executed),
    Rule("PL015", "many-rows", "rows", many_rows),
    Rule("PL020", "large-offset", "rows", large_offset),
)
