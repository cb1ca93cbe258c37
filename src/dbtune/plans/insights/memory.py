"""What did not fit into work_mem."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.units import format_size
from dbtune.plans.insight import Rule, Seen, Surroundings
from dbtune.plans.plan import BLOCK_BYTES, Node, Plan

MOST_WORK_MEM_BYTES = 256 << 20
"""Where raising work_mem ends: each sort and hash of each session may take as much."""
SORT_GROWTH = 3.0
"""A sort takes in memory up to about three times what it takes on disk, where rows have no header and no pointer."""
ROOM = 1.25
"""A hash table that just fits today should fit tomorrow."""


def hash_batches(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A hash join or a hashed aggregate works in more than one batch.

    **Why it matters.** The hash table did not fit into work_mem × hash_mem_multiplier: all batches but the first go
    through files.

    **What to do.** Fewer or narrower rows into the hash; more work_mem for this statement; better estimates, where it
    had to split again while it ran.
    """
    for node in plan.nodes:
        batches = node.memory.batches
        if batches is None or batches <= 1:
            continue
        split = node.memory.planned_batches
        again = f", {split} planned" if split is not None and split < batches else ""
        action, sql = _more_memory(node)
        yield Seen(node, batches, 1, f"works in {batches} batches{again}", action, sql=sql)


def temp_written(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A node writes temporary files.

    **Why it matters.** They take the disk's time, and disk space that a full volume does not have.

    **What to do.** Fewer rows into the node; more work_mem for this statement; `temp_file_limit` as a guard.
    """
    for node in plan.nodes:
        blocks = node.own_buffers.temp_written if node.own_buffers is not None else 0
        if blocks > 0:
            action, sql = _more_memory(node)
            size = format_size(blocks * BLOCK_BYTES)
            yield Seen(node, blocks, 0, f"writes {blocks:,} temporary blocks ({size})", action, sql=sql)


def disk_sort(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """A sort goes through the disk.

    **Why it matters.** An external merge sort takes several times as long as one in memory.

    **What to do.** An index in the wanted order needs no sort at all; a LIMIT sorts only the best; else more work_mem.
    """
    for node in plan.nodes:
        if node.kind in ("Sort", "Incremental Sort") and node.memory.on_disk_bytes > 0:
            size = node.memory.on_disk_bytes
            action, sql = _more_memory(node)
            yield Seen(
                node, size, 0, f"sorts {format_size(size)} on disk ({node.memory.sort_method or 'external'})",
                f"try an index in the order {node.condition('Sort Key') or 'wanted'}; or {action}", sql=sql,
            )  # fmt: skip


def work_mem_target(plan: Plan, surroundings: Surroundings) -> Iterable[Seen]:
    """The statement spills, and a work_mem that stops it can be named.

    **Why it matters.** work_mem is taken by each sort and hash of each session: a target has to be bounded, here to
    256 MB, and belongs to the statement or the role, not to the server.

    **What to do.** Set it for this transaction, or for the role that runs such statements. Beyond the bound: sort and
    hash fewer rows.
    """
    spilling = [(needed, node) for node in plan.nodes if (needed := _needed_bytes(node)) > 0]
    if not spilling:
        return
    needed, node = max(spilling, key=lambda pair: pair[0])
    now = surroundings.work_mem_bytes or 0
    if needed > MOST_WORK_MEM_BYTES:
        yield Seen(
            node, needed, MOST_WORK_MEM_BYTES,
            f"would need about {format_size(needed)} of work_mem to stay in memory: more than is reasonable",
            "sort and hash fewer or narrower rows: filter and aggregate earlier, or read them in an index's order",
        )  # fmt: skip
    elif needed > now:
        yield Seen(
            node, needed, now, f"about {format_size(needed)} of work_mem would keep everything in memory",
            "set it for this transaction and explain again; then for the role that runs such statements",
            severity="info", sql=(f"set local work_mem = '{_megabytes(needed)}MB';",),
        )  # fmt: skip


def _needed_bytes(node: Node) -> float:
    """The work_mem with which a node would not have spilled, roughly; 0 where it did not.

    A hash may take work_mem × hash_mem_multiplier (2 since PostgreSQL 15, 1 before): the smaller is assumed.
    """
    memory = node.memory
    if node.kind in ("Sort", "Incremental Sort"):
        return memory.on_disk_bytes * SORT_GROWTH
    if memory.batches is not None and memory.batches > 1:
        in_memory = (memory.in_memory_bytes or 0) * (memory.batches if node.kind == "Hash" else 1)
        return (in_memory + memory.on_disk_bytes * SORT_GROWTH) * ROOM
    return 0.0


def _more_memory(node: Node) -> tuple[str, tuple[str, ...]]:
    """The action for one node, in words and in SQL; where its need is unknown or unreasonable, in words only."""
    needed = _needed_bytes(node)
    if 0 < needed <= MOST_WORK_MEM_BYTES:
        return "raise work_mem for this transaction, and explain again", (
            f"set local work_mem = '{_megabytes(needed)}MB';",
        )
    return "bring fewer or narrower rows here (filter, aggregate or LIMIT earlier), and explain again", ()


def _megabytes(size_bytes: float) -> int:
    """Whole megabytes, at least one."""
    return max(-int(-size_bytes // (1 << 20)), 1)


RULES = (
    Rule("PL008", "hash-batches", "batches", hash_batches),
    Rule("PL016", "temp-written", "blocks", temp_written),
    Rule("PL018", "disk-sort", "bytes", disk_sort),
    Rule("PL027", "work-mem-target", "bytes", work_mem_target),
)
