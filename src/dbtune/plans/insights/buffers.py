"""How many blocks the statement touches."""

from __future__ import annotations

from collections.abc import Iterable

from dbtune.core.units import format_size
from dbtune.plans.insight import Rule, Seen, Surroundings
from dbtune.plans.plan import BLOCK_BYTES, Plan

MOST_READ = 100
MOST_HIT = 1000
"""joe's bounds for one statement."""


def blocks_read(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """The statement reads more than 100 blocks from outside PostgreSQL's memory.

    **Why it matters.** What is not in shared_buffers comes from the disk, or from the operating system's cache at best.

    **What to do.** Run it again: what stays is not kept in memory between runs. Then read fewer blocks (an index), or
    look at the hit rate of the whole server with `dbtune audit`.
    """
    buffers = plan.root.buffers
    if buffers is not None and buffers.read > MOST_READ:
        yield Seen(
            None, buffers.read, MOST_READ,
            f"reads {buffers.read:,} blocks ({format_size(buffers.read * BLOCK_BYTES)}) from outside its memory",
            f"explain it a second time: blocks that are read again do not stay in memory; most of them here: "
            f"{_most(plan, 'read')}",
        )  # fmt: skip


def blocks_hit(plan: Plan, _surroundings: Surroundings) -> Iterable[Seen]:
    """The statement touches more than 1,000 blocks in memory.

    **Why it matters.** Memory is fast, but a thousand blocks are eight megabytes for one answer, each time.

    **What to do.** Read less: an index with all of the condition's columns, fewer loops of the node named.
    """
    buffers = plan.root.buffers
    if buffers is not None and buffers.hit > MOST_HIT:
        yield Seen(
            None, buffers.hit, MOST_HIT,
            f"touches {buffers.hit:,} blocks ({format_size(buffers.hit * BLOCK_BYTES)}) in memory",
            f"read fewer: an index with all of the condition's columns, or fewer loops of {_most(plan, 'hit')}",
            severity="info",
        )  # fmt: skip


def _most(plan: Plan, what: str) -> str:
    """The node that itself touched the most."""
    heaviest = max(plan.nodes, key=lambda node: getattr(node.own_buffers, what, 0))
    return heaviest.title


RULES = (
    Rule("PL014", "blocks-read", "blocks", blocks_read),
    Rule("PL028", "blocks-hit", "blocks", blocks_hit),
)
