"""Where the time goes: nodes, planning, triggers, JIT."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.units import format_duration
from dbtune.plans.insight import Rule, Seen, Surroundings, level
from dbtune.plans.plan import Node, Plan

SHARES = (0.1, 0.4, 0.9)
"""pev2's steps for shares of time and of cost."""
LEAST_S = 0.001
"""Below a millisecond a share of the time is noise."""
LEAST_COST = 100.0
"""About a hundred pages read in order: cheaper plans have no node worth a word."""


def time_share(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A node takes more than 10, 40 or 90 % of the time by itself.

    **Why it matters.** Whatever else is changed, the statement cannot get faster than this node is.

    **What to do.** Work on this node first: fewer rows into it (an index, an earlier filter), fewer loops of it, or
    another way of doing the same. `dbtune advise` tries indexes for the statement.
    """
    for node in plan.nodes:
        share = plan.time_share(node)
        found = level(share, SHARES) if share is not None and (node.self_s or 0) >= LEAST_S else None
        if share is not None and found is not None and len(plan.nodes) > 1:
            yield Seen(
                node, share, found[1],
                f"takes {share:.0%} of the time by itself: {format_duration(node.self_s or 0)} of "
                f"{format_duration(plan.total_s or 0)}",
                _what_to_try(node), severity=found[0],
            )  # fmt: skip


def cost_share(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A node takes more than 10, 40 or 90 % of the estimated cost, in a plan that was not executed.

    **Why it matters.** The planner expects most of the work there. It may be wrong: estimates are no measurements.

    **What to do.** Execute it with `--analyze`, and see whether the time agrees.
    """
    whole = plan.root.total_cost or 0.0
    if plan.is_executed or whole < LEAST_COST or len(plan.nodes) == 1:
        return
    for node in plan.nodes:
        share = (node.self_cost or 0.0) / whole
        # Below a LIMIT a node's cost is that of all its rows, of which only some are wanted.
        found = level(share, SHARES) if share <= 1 else None
        if found:
            yield Seen(
                node, share, found[1], f"is {share:.0%} of the estimated cost: {node.self_cost:.0f} of {whole:.0f}",
                f"{_what_to_try(node)}; `dbtune explain --analyze` shows whether the time agrees",
                severity="info" if found[0] == "info" else "warning",
            )  # fmt: skip


def planning_share(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """Planning takes more than 10, 40 or 90 % of planning and execution together.

    **Why it matters.** A short statement that runs often pays this each time.

    **What to do.** Prepare the statement once and execute it often (in most drivers an option of the connection);
    join fewer tables; read from fewer partitions, or detach old ones.
    """
    if plan.planning_s is None or plan.execution_s is None:
        return
    share = plan.planning_s / max(plan.planning_s + plan.execution_s, 1e-9)
    found = level(share, SHARES)
    if found and plan.planning_s >= LEAST_S:
        yield Seen(
            None, share, found[1],
            f"planning takes {format_duration(plan.planning_s)}, {share:.0%} of the whole",
            "prepare the statement once and execute it often, and compare the total time",
            severity="info" if found[0] == "info" else "warning",
            sql=("set plan_cache_mode = force_generic_plan;",),
        )  # fmt: skip


def trigger_share(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A trigger takes more than 10, 40 or 90 % of the time. Foreign keys are checked by triggers as well.

    **Why it matters.** It runs once for each row, out of sight of the plan's nodes.

    **What to do.** For a foreign key: index the referencing columns. For a trigger of your own: explain the statements
    in it, or make it a statement-level trigger with transition tables.
    """
    for trigger in plan.triggers:
        share = min(trigger.time_s / plan.total_s, 1.0) if plan.total_s else 0.0
        found = level(share, SHARES)
        if found and trigger.time_s >= LEAST_S:
            where = f" on {trigger.relation}" if trigger.relation else ""
            yield Seen(
                None, share, found[1],
                f"trigger {trigger.name}{where} takes {share:.0%} of the time: {format_duration(trigger.time_s)} in "
                f"{trigger.calls} calls",
                "index the columns that reference this table, if it is a foreign key (`dbtune audit` names them); "
                "otherwise explain the statements inside the trigger's function",
                severity=found[0],
            )  # fmt: skip


def jit_share(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """Compiling just in time takes more than 10, 40 or 90 % of the time.

    **Why it matters.** It pays for statements of many seconds; a shorter one waits for the compiler. A cost estimated
    far too high is what turns it on.

    **What to do.** Try the statement with `jit` off; then turn it off for the role, or raise `jit_above_cost`.
    """
    if plan.jit_s is None or not plan.total_s:
        return
    share = min(plan.jit_s / plan.total_s, 1.0)
    if found := level(share, SHARES):
        yield Seen(
            None, share, found[1], f"JIT compilation takes {share:.0%} of the time: {format_duration(plan.jit_s)}",
            "run it again with jit off and compare", severity=found[0], sql=("set jit = off;",),
        )  # fmt: skip


def _what_to_try(node: Node) -> str:
    """By kind: the change that most often helps there."""
    if "Seq Scan" in node.kind:
        return f"try an index on what the statement asks of {node.relation or 'the table'} (`dbtune advise`)"
    if node.kind in ("Sort", "Incremental Sort"):
        return "try an index in this order, or sort fewer rows: filter and LIMIT before the sort"
    if node.is_index_scan or "Bitmap" in node.kind:
        return "try an index that has all of the conditions' columns, and INCLUDE for those that are only returned"
    if node.kind == "Aggregate":
        return "try to aggregate fewer rows: filter before, or keep the figures in a table of their own"
    if node.kind.startswith("Gather"):
        return "set max_parallel_workers_per_gather = 0 and compare: starting workers may cost more than they save"
    if node.is_join:
        return "try to join fewer rows: filter each side first; index the joined columns of the larger one"
    return "look at the rows that go into it: fewer rows make it faster"


RULES = (
    Rule("PL001", "node-time-share", "share", time_share),
    Rule("PL002", "node-cost-share", "share", cost_share),
    Rule("PL010", "planning-share", "share", planning_share),
    Rule("PL011", "trigger-share", "share", trigger_share),
    Rule("PL012", "jit-share", "share", jit_share),
)
