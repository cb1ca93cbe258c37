"""How tables and indexes are read."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.identifiers import quote
from dbtune.core.units import format_duration, format_size
from dbtune.plans.insight import Rule, Seen, Severity, Surroundings
from dbtune.plans.plan import BLOCK_BYTES, Node, Plan

HEAP_FETCHES = (0.0, 0.4, 0.9)
"""pev2's steps for heap fetches ÷ rows; joe's bound is 0."""
LARGE_SCAN_BLOCKS = 50
"""joe."""
SLOW_SCAN_S = 0.1
"""pganalyze names slow scans; the bound is dbtune's slow limit for statements, 100 ms."""
LEAST_READ_PER_RETURNED = 10.0
"""Rows read in the wanted order for each that fits, from which another index would do better."""
LEAST_READ = 1000.0


def heap_fetches(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """An index-only scan looks into the table after all: for more than 0, 40 or 90 % of its rows.

    **Why it matters.** The visibility map does not vouch for these pages, so each row is fetched to see whether it is
    visible. The index is then no better than any other.

    **What to do.** VACUUM the table; let autovacuum come more often there (insert-only tables too).
    """
    for node in plan.nodes:
        if node.kind != "Index Only Scan" or not node.heap_fetches or not node.executed:
            continue
        share = min(node.heap_fetches / max(node.total_rows or 0.0, 1.0), 1.0)
        severities: tuple[Severity, ...] = ("info", "warning", "warning")
        passed = [(limit, severity) for limit, severity in zip(HEAP_FETCHES, severities, strict=True) if share > limit]
        table = quote(*(part for part in (node.schema, node.relation) if part)) if node.relation else None
        yield Seen(
            node, share, passed[-1][0],
            f"fetches {node.heap_fetches:,} rows from the table, {share:.0%} of what it returns",
            "vacuum the table, and explain again", severity=passed[-1][1],
            sql=(f"vacuum (analyze) {table};",) if table else (),
        )  # fmt: skip


def large_seq_scan(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A sequential scan reads more than 50 blocks.

    **Why it matters.** It takes longer with every row that is added, and reads what others had in memory out of it.

    **What to do.** Where the statement needs a part of the table: an index. Where it needs all of it, this is right.
    """
    for node in plan.nodes:
        if node.kind != "Seq Scan" or node.never_executed:
            continue
        blocks = node.buffers.hit + node.buffers.read if node.buffers is not None else None
        if blocks is not None and blocks > LARGE_SCAN_BLOCKS:
            kept = node.condition("Filter") is not None
            yield Seen(
                node, blocks, LARGE_SCAN_BLOCKS,
                f"reads {blocks:,} blocks ({format_size(blocks * BLOCK_BYTES)}) of {node.relation} in order",
                "try an index on the filter's columns (`dbtune advise`)" if kept
                else "ask for fewer rows (a condition, a LIMIT), or leave it, if the whole table is needed",
                severity="warning" if kept else "info",
            )  # fmt: skip


def slow_scan(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A sequential scan takes more than 100 ms by itself.

    **Why it matters.** A person notices a tenth of a second; a statement that needs it can run ten times a second.

    **What to do.** An index on the filter's columns; a partition or a summary table where all rows are needed.
    """
    for node in plan.nodes:
        if node.kind == "Seq Scan" and (node.self_s or 0.0) > SLOW_SCAN_S:
            yield Seen(
                node, node.self_s or 0.0, SLOW_SCAN_S, f"the scan takes {format_duration(node.self_s or 0.0)}",
                "try an index on the filter's columns (`dbtune advise`), or keep what it computes in a table",
            )  # fmt: skip


def lossy_bitmap(plan: Plan, surroundings: Surroundings) -> Iterable[Seen]:
    """A bitmap did not fit into work_mem and remembers blocks instead of rows.

    **Why it matters.** Every row of such a block is checked again.

    **What to do.** More work_mem for this statement, or a condition that finds fewer rows.
    """
    for node in plan.nodes:
        if node.bitmap.lossy > 0:
            share = node.bitmap.lossy / (node.bitmap.lossy + node.bitmap.exact)
            yield Seen(
                node, node.bitmap.lossy, 0, f"{node.bitmap.lossy:,} of its blocks are lossy ({share:.0%})",
                "raise work_mem for this statement until the bitmap is exact, and explain again",
                sql=(f"set work_mem = '{_doubled_mb(surroundings)}MB';",),
            )  # fmt: skip


def wrong_index_for_order(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """Under ORDER BY … LIMIT an index is read in the wanted order, and most of its rows are thrown away.

    **Why it matters.** The planner hopes to find the few rows early. When they lie late, or are rare, it reads the
    whole index row by row: the classic statement that is sometimes a thousand times slower.

    **What to do.** An index with the filtered columns first and the order's behind them. To see the other plan at once:
    order by an expression (`order by created_at + interval '0'`), which no index serves.
    """
    for node in plan.nodes:
        if not node.is_index_scan or not node.executed or not _under_limit(plan, node):
            continue
        returned = node.total_rows or 0.0
        ratio = node.removed.by_filter / max(returned, 1.0)
        if node.removed.by_filter > LEAST_READ and ratio > LEAST_READ_PER_RETURNED:
            yield Seen(
                node, ratio, LEAST_READ_PER_RETURNED,
                f"walks {node.index} for its order and throws away {node.removed.by_filter:,.0f} rows "
                f"to find {returned:,.0f}",
                "create an index with the filter's columns first and those of ORDER BY after them; "
                "or try ORDER BY over an expression, to see the plan without this index",
            )  # fmt: skip


def _under_limit(plan: Plan, node: Node) -> bool:
    """Whether a LIMIT takes the rows in the order of this scan: no sort, hash or aggregate between them."""
    for above in plan.ancestors(node):
        if above.kind == "Limit":
            return True
        if above.kind in ("Sort", "Hash", "Aggregate", "ModifyTable"):
            return False
    return False


def _doubled_mb(surroundings: Surroundings) -> int:
    return max(2 * (surroundings.work_mem_bytes or (32 << 20)) >> 20, 8)


RULES = (
    Rule("PL007", "heap-fetches", "share", heap_fetches),
    Rule("PL013", "large-seq-scan", "blocks", large_seq_scan),
    Rule("PL021", "lossy-bitmap", "blocks", lossy_bitmap),
    Rule("PL022", "slow-scan", "seconds", slow_scan),
    Rule("PL025", "wrong-index-for-order", "factor", wrong_index_for_order),
)
