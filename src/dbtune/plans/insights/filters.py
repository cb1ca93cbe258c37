"""Rows that were read and thrown away."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.identifiers import quote
from dbtune.plans.conditions import indexable_columns
from dbtune.plans.insight import Rule, Seen, Surroundings
from dbtune.plans.plan import Node, Plan

SHARES = (0.5, 0.9)
"""pev2's steps for rows removed."""
LEAST_REMOVED = 100.0
"""joe's bound; below it throwing rows away costs nothing that matters."""
MOST_REMOVED_BY_INDEX_SCAN = 100.0
"""joe."""
LEAST_PAGES = 3
"""depesz: a sequential scan of up to three pages is as it should be."""
REMOVED_PER_KEPT = 2.0
"""depesz: removing more than twice what is kept, a scan is a case for an index."""


def removed_by_filter(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A node throws away more than 50 or 90 % of the rows it reads.

    **Why it matters.** They were read for nothing.

    **What to do.** An index on the filtered columns finds the others directly. A filter over an expression needs an
    index on that expression; one that is nearly always the same constant makes a good partial index.
    """
    for node in plan.nodes:
        yield from _removed(node, node.removed.by_filter, "filter", _index_for(node, "Filter"))


def removed_by_join_filter(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A join throws away more than 50 or 90 % of the pairs it makes.

    **Why it matters.** Each pair costs a comparison, and there are as many as rows on one side times rows on the other.

    **What to do.** Make the condition an equality that can be hashed or looked up; move conditions on one table only
    out of the join's OR.
    """
    for node in plan.nodes:
        yield from _removed(
            node, node.removed.by_join_filter, "join filter",
            ("write the join's condition as an equality of columns, indexed on the inner side", ()),
        )  # fmt: skip


def removed_by_recheck(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """Checking the index's answer again throws away more than 50 or 90 % of the rows.

    **Why it matters.** A lossy bitmap or a lossy index (GiST, GIN with trigrams, BRIN) named rows that do not fit.

    **What to do.** Lossy bitmap: more work_mem. Lossy index: a more exact one, or a smaller pages_per_range for BRIN.
    """
    for node in plan.nodes:
        action = (
            ("raise work_mem, so that the bitmap remembers rows and not blocks", ("set work_mem = '64MB';",))
            if node.bitmap.lossy
            else ("try a more exact index: a B-tree instead of BRIN or GiST, a smaller pages_per_range", ())
        )
        yield from _removed(node, node.removed.by_recheck, "index recheck", action)


def inefficient_index(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """An index scan reads more than 100 rows that its filter then removes.

    **Why it matters.** The index leads to too many rows: it has some of the condition's columns, not all.

    **What to do.** An index with the filtered column behind those of the index condition.
    """
    for node in plan.nodes:
        removed = node.removed.by_filter
        if not (node.is_index_scan or node.kind == "Bitmap Heap Scan") or removed <= MOST_REMOVED_BY_INDEX_SCAN:
            continue
        columns = _index_columns(node)
        action = "try an index that has the filtered columns too, behind those of the index condition"
        yield Seen(
            node, removed, MOST_REMOVED_BY_INDEX_SCAN,
            f"finds {removed + (node.total_rows or 0):,.0f} rows by the index and removes {removed:,.0f} of them",
            action, sql=_create(node, columns),
        )  # fmt: skip


def indexable_seq_scan(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A sequential scan of more than three pages removes more than twice the rows that it keeps.

    **Why it matters.** The table is read as a whole for a small part of it, and this grows with the table.

    **What to do.** Create the index named, or let `dbtune advise` weigh it against the writes it costs.
    """
    for node in plan.nodes:
        if node.kind != "Seq Scan" or not node.executed or node.condition("Filter") is None:
            continue
        pages = node.buffers.hit + node.buffers.read if node.buffers is not None else None
        kept, removed = node.total_rows or 0.0, node.removed.by_filter
        small = pages is not None and pages <= LEAST_PAGES
        if small or removed < LEAST_REMOVED or removed <= REMOVED_PER_KEPT * kept:
            continue
        action, sql = _index_for(node, "Filter")
        yield Seen(
            node, removed / max(kept, 1.0), REMOVED_PER_KEPT,
            f"reads the whole table, removes {removed:,.0f} rows and keeps {kept:,.0f}", action, sql=sql,
        )  # fmt: skip


def _removed(node: Node, removed: float, by: str, action: tuple[str, tuple[str, ...]]) -> Iterable[Seen]:
    read = removed + (node.total_rows or 0.0)
    share = removed / read if read else 0.0
    if removed < LEAST_REMOVED or share <= SHARES[0]:
        return
    worst = share > SHARES[1]
    yield Seen(
        node, share, SHARES[1] if worst else SHARES[0],
        f"its {by} removes {share:.1%} of {read:,.0f} rows", action[0], severity="warning" if worst else "info",
        sql=action[1],
    )  # fmt: skip


def _index_for(node: Node, label: str) -> tuple[str, tuple[str, ...]]:
    condition = node.condition(label)
    sql = _create(node, indexable_columns(condition)) if condition is not None else ()
    if node.relation is None:
        return "filter earlier: put the condition where the rows are read", ()
    if not sql:
        return f"try an index on the expression or the columns that the filter of {node.relation} compares", ()
    return "create the index, and explain again", sql


def _index_columns(node: Node) -> tuple[str, ...]:
    found = [
        column
        for label in ("Index Cond", "Recheck Cond", "Filter")
        for column in indexable_columns(node.condition(label) or "")
    ]
    return tuple(dict.fromkeys(found))


def _create(node: Node, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Columns are as PostgreSQL printed them: quoted where they need it."""
    if node.relation is None or not columns:
        return ()
    table = quote(*(part for part in (node.schema, node.relation) if part))
    return (f"create index concurrently on {table} ({', '.join(columns)});",)


RULES = (
    Rule("PL004", "removed-by-filter", "share", removed_by_filter),
    Rule("PL005", "removed-by-join-filter", "share", removed_by_join_filter),
    Rule("PL006", "removed-by-recheck", "share", removed_by_recheck),
    Rule("PL017", "inefficient-index", "rows", inefficient_index),
    Rule("PL019", "indexable-seq-scan", "factor", indexable_seq_scan),
)
