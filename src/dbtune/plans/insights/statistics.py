"""Whether the planner's numbers are of today."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.identifiers import quote
from dbtune.plans.insight import Rule, Seen, Surroundings, TableFacts
from dbtune.plans.plan import Node, Plan

CHANGED_SHARE = 0.1
"""autovacuum_analyze_scale_factor: past it PostgreSQL itself thinks an ANALYZE due."""
LEAST_CHANGED = 1000
"""Small tables change by more than a tenth every minute, and it does not matter."""
UNFILTERED_FACTOR = 2.0
"""The estimate of a whole table is its size times its density: wrong by a factor of two, it is old."""


def stale_statistics(plan: Plan, surroundings: Surroundings) -> Iterable[Seen]:
    """The statistics of a table are old: more than a tenth of it has changed since, or a whole scan is misjudged.

    **Why it matters.** The planner plans for the table as it was.

    **What to do.** ANALYZE it, and let autovacuum do so more often (autovacuum_analyze_scale_factor of the table).
    """
    told: set[str | None] = set()
    for node in plan.nodes:
        if node.relation is None or node.table in told:
            continue
        facts = surroundings.table(node)
        found = _changed(node, facts) if facts is not None else _misjudged(node)
        if found is not None:
            told.add(node.table)
            yield found


def _changed(node: Node, facts: TableFacts) -> Seen | None:
    share = facts.modified_rows / max(facts.rows, 1.0)
    never = not facts.analyzed and facts.modified_rows >= LEAST_CHANGED
    if not never and (share <= CHANGED_SHARE or facts.modified_rows < LEAST_CHANGED):
        return None
    what = "was never analyzed" if not facts.analyzed else f"has changed by {share:.0%} since its last ANALYZE"
    return Seen(
        node, share, CHANGED_SHARE, f"{facts.name} {what}: {facts.modified_rows:,} rows",
        "analyze it and explain again",
        sql=(f"analyze {quote(facts.schema, facts.name)};",),
    )  # fmt: skip


def _misjudged(node: Node) -> Seen | None:
    """Of a saved plan: a whole table read to its end, where the estimate needs no guess."""
    if node.kind != "Seq Scan" or node.condition("Filter") or node.misestimate is None or node.parallel:
        return None
    # Fewer rows than expected may be a LIMIT's doing; more can only be old statistics.
    if node.misestimate <= UNFILTERED_FACTOR or (node.rows or 0) < LEAST_CHANGED:
        return None
    table = quote(*(part for part in (node.schema, node.relation) if part))
    return Seen(
        node, node.misestimate, UNFILTERED_FACTOR,
        f"{node.relation} has {node.misestimate:.0f} times the rows that its statistics know", "analyze it",
        sql=(f"analyze {table};",),
    )  # fmt: skip


RULES = (Rule("PL023", "stale-statistics", "share", stale_statistics),)
