"""What EXPLAIN (FORMAT JSON) says, walked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scan:
    """One node that reads a table or an index. A bitmap index scan names no table."""

    node: str
    relation: str | None
    schema: str | None
    index: str | None

    @property
    def is_sequential(self) -> bool:
        return self.node == "Seq Scan"

    @property
    def qualified(self) -> str | None:
        return None if self.relation is None or self.schema is None else f"{self.schema}.{self.relation}"

    def __str__(self) -> str:
        return " ".join(
            filter(None, (self.node, self.index and f"using {self.index}", self.relation and f"on {self.relation}"))
        )


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every node, parents first; without recursion, since a plan over a thousand partitions is deep and wide."""
    waiting = [plan["Plan"]]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.get("Plans", ())))


def scans(plan: Mapping[str, Any]) -> Iterator[Scan]:
    for node in nodes(plan):
        if "Relation Name" in node or "Index Name" in node:
            yield Scan(node["Node Type"], node.get("Relation Name"), node.get("Schema"), node.get("Index Name"))


def execution_time_s(plan: Mapping[str, Any]) -> float:
    """Raises KeyError when the statement was not executed."""
    return float(plan["Execution Time"]) / 1000


def most_rows_removed(plan: Mapping[str, Any]) -> tuple[str, float]:
    """The node that threw away the most rows, in words, and how many over all of its loops."""
    worst = ("", 0.0)
    for node in nodes(plan):
        removed = sum(
            float(node.get(f"Rows Removed by {what}", 0)) for what in ("Filter", "Join Filter", "Index Recheck")
        ) * float(node.get("Actual Loops", 1))
        if removed > worst[1]:
            where = f" on {node['Relation Name']}" if "Relation Name" in node else ""
            worst = (f"{node['Node Type']}{where}", removed)
    return worst
