"""A plan as one frozen, typed tree, whatever form it was printed in.

Nodes lie in one tuple, parents before children, and know their parent by its number: a plan over a thousand
partitions is walked without recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

BLOCK_BYTES = 8192
"""PostgreSQL's BLCKSZ as everybody builds it."""
_COUNTLESS = ("ModifyTable", "BitmapAnd", "BitmapOr")
_JOINS = ("Nested Loop", "Hash Join", "Merge Join")


@dataclass(frozen=True, slots=True)
class Buffers:
    """Blocks of 8 kB that a node and everything below it touched, over all of its loops."""

    shared_hit: int = 0
    shared_read: int = 0
    shared_dirtied: int = 0
    shared_written: int = 0
    local_hit: int = 0
    local_read: int = 0
    temp_read: int = 0
    temp_written: int = 0

    @property
    def hit(self) -> int:
        return self.shared_hit + self.local_hit

    @property
    def read(self) -> int:
        return self.shared_read + self.local_read


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows thrown away, over all loops."""

    by_filter: float = 0.0
    by_join_filter: float = 0.0
    by_recheck: float = 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What a sort, a hash table or an aggregate took. Bytes; `on_disk_bytes` is what did not fit into work_mem."""

    sort_method: str | None = None
    in_memory_bytes: int | None = None
    on_disk_bytes: int = 0
    batches: int | None = None
    planned_batches: int | None = None


@dataclass(frozen=True, slots=True)
class Bitmap:
    """Blocks that a bitmap heap scan found exactly, and those of which only the block was remembered."""

    exact: int = 0
    lossy: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `rows`, `planned_rows` are per loop as PostgreSQL prints them; `loops` 0 was never executed.

    `wall_s` is the node's share of the elapsed time with everything below it, over all loops, parallel workers side by
    side; `self_s` the same without what it called. Both are None where nothing was timed. `conditions` are (label,
    text) pairs in the plan's order.
    """

    number: int
    parent: int | None
    depth: int
    kind: str
    title: str
    relationship: str | None = None
    subplan: str | None = None
    join_type: str | None = None
    operation: str | None = None
    relation: str | None = None
    schema: str | None = None
    alias: str | None = None
    index: str | None = None
    cte: str | None = None
    parallel: bool = False
    startup_cost: float | None = None
    total_cost: float | None = None
    planned_rows: float | None = None
    rows: float | None = None
    loops: float | None = None
    loop_s: float | None = None
    removed: Removed = field(default_factory=Removed)
    heap_fetches: int | None = None
    bitmap: Bitmap = field(default_factory=Bitmap)
    memory: Memory = field(default_factory=Memory)
    buffers: Buffers | None = None
    workers_planned: int | None = None
    workers_launched: int | None = None
    conditions: tuple[tuple[str, str], ...] = ()
    output: str | None = None
    wall_s: float | None = None
    self_s: float | None = None
    self_cost: float | None = None
    own_buffers: Buffers | None = None

    @property
    def executed(self) -> bool:
        return bool(self.loops)

    @property
    def never_executed(self) -> bool:
        return self.loops == 0

    @property
    def total_rows(self) -> float | None:
        """Rows over all loops."""
        return None if self.rows is None or self.loops is None else self.rows * self.loops

    @property
    def is_join(self) -> bool:
        return self.kind in _JOINS

    @property
    def is_index_scan(self) -> bool:
        return self.kind in ("Index Scan", "Index Only Scan")

    @property
    def table(self) -> str | None:
        """Schema and name, as far as the plan tells."""
        return self.relation if self.schema is None or self.relation is None else f"{self.schema}.{self.relation}"

    @property
    def misestimate(self) -> float | None:
        """Rows ÷ estimate, both at least 1: above 1 there were more than expected.

        None without execution, and of nodes that never say how many rows there were.
        """
        if self.kind in _COUNTLESS or not self.executed or self.rows is None or self.planned_rows is None:
            return None
        return max(self.rows, 1.0) / max(self.planned_rows, 1.0)

    def condition(self, label: str) -> str | None:
        return next((text for name, text in self.conditions if name == label), None)

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True, slots=True)
class Trigger:
    """Seconds over all calls. Foreign keys are triggers too."""

    name: str
    relation: str | None
    time_s: float
    calls: int


@dataclass(frozen=True)
class Plan:
    """The whole: times in seconds, None where not printed. `document` is the plan in PostgreSQL's own JSON words."""

    nodes: tuple[Node, ...]
    document: Mapping[str, Any]
    planning_s: float | None = None
    execution_s: float | None = None
    jit_s: float | None = None
    jit_functions: int | None = None
    triggers: tuple[Trigger, ...] = ()
    query: str | None = None

    @property
    def root(self) -> Node:
        return self.nodes[0]

    @property
    def is_executed(self) -> bool:
        return self.root.loops is not None

    @property
    def total_s(self) -> float | None:
        """What shares of time are shares of: the execution, or the root node where that was not printed."""
        return self.execution_s if self.execution_s is not None else self.root.wall_s

    @cached_property
    def _children(self) -> Mapping[int, Sequence[Node]]:
        found: dict[int, list[Node]] = {}
        for node in self.nodes[1:]:
            found.setdefault(node.parent or 0, []).append(node)
        return found

    def children(self, node: Node) -> Sequence[Node]:
        return self._children.get(node.number, ())

    def parent(self, node: Node) -> Node | None:
        return None if node.parent is None else self.nodes[node.parent - 1]

    def ancestors(self, node: Node) -> Iterator[Node]:
        """The nearest first."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def below(self, node: Node) -> Iterator[Node]:
        """Everything under a node, parents first: it follows the node in the tuple."""
        for other in self.nodes[node.number :]:
            if other.depth <= node.depth:
                return
            yield other

    @cached_property
    def hot_path(self) -> frozenset[int]:
        """Numbers of the nodes from the root down to where the time goes (the cost, where nothing was timed)."""
        path, node = [self.root.number], self.root
        while below := [child for child in self.children(node) if not child.never_executed]:
            heaviest = max(below, key=lambda child: _weight(child) or 0.0)
            own = (node.self_s if node.wall_s is not None else node.self_cost) or 0.0
            if (_weight(heaviest) or 0.0) <= own:
                break
            path.append(heaviest.number)
            node = heaviest
        return frozenset(path)

    @cached_property
    def hottest(self) -> Node:
        """The node that itself took the most."""
        return max(self.nodes, key=lambda node: (node.self_s or 0.0, node.self_cost or 0.0))

    def time_share(self, node: Node) -> float | None:
        """The node's own share of the elapsed time, 0 to 1."""
        if node.self_s is None or not self.total_s:
            return None
        return min(node.self_s / self.total_s, 1.0)


def _weight(node: Node) -> float | None:
    return node.wall_s if node.wall_s is not None else node.total_cost
