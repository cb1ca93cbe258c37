"""From PostgreSQL's JSON to the typed tree. Everything in it is a stranger's text until it has been looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dbtune.core.errors import Misused
from dbtune.plans.plan import Bitmap, Buffers, Memory, Node, Plan, Removed, Trigger
from dbtune.plans.times import with_own_shares

MOST_DEPTH = 200
MOST_NODES = 100_000
"""Bounds for a hostile file; real plans over thousands of partitions stay below."""
_MOST = 1e300
CONDITIONS = (
    "Index Cond", "Recheck Cond", "TID Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "One-Time Filter",
    "Order By", "Sort Key", "Presorted Key", "Group Key", "Cache Key", "Run Condition", "Function Name",
    "Function Call", "Table Function Call", "Remote SQL", "Window", "Conflict Filter",
)  # fmt: skip
"""What is shown of a node's properties, in PostgreSQL's words."""


def shape_plan(document: Mapping[str, Any]) -> Plan:
    """The object that holds "Plan". Raises Misused for what PostgreSQL would never print."""
    found = document.get("Plan")
    if not isinstance(found, Mapping):
        raise Misused('the plan has no "Plan" in it', hint="save what EXPLAIN (FORMAT JSON) prints, all of it")
    nodes = tuple(_node(place) for place in _walk(found))
    return with_own_shares(
        Plan(
            nodes=nodes,
            document=document,
            planning_s=_seconds(document, "Planning Time"),
            execution_s=_seconds(document, "Execution Time"),
            jit_s=_jit_seconds(document.get("JIT")),
            jit_functions=_count(_mapping(document.get("JIT")), "Functions"),
            triggers=tuple(_triggers(document.get("Triggers"))),
            query=_text(document, "Query Text"),
        )
    )


@dataclass(frozen=True, slots=True)
class _Place:
    raw: Mapping[str, Any]
    number: int
    parent: int | None
    depth: int


def _walk(root: Mapping[str, Any]) -> Iterator[_Place]:
    """Every node with its number, parents first."""
    waiting: list[tuple[Any, int | None, int]] = [(root, None, 0)]
    number = 0
    while waiting:
        raw, parent, depth = waiting.pop()
        number += 1
        if not isinstance(raw, Mapping) or not isinstance(raw.get("Node Type"), str):
            raise Misused(
                f'node {number} of the plan has no "Node Type"', hint="save what EXPLAIN prints, all of it, unchanged"
            )
        if depth > MOST_DEPTH or number > MOST_NODES:
            raise Misused(
                f"the plan has more than {MOST_DEPTH} levels or {MOST_NODES} nodes", hint="explain a smaller statement"
            )
        yield _Place(raw, number, parent, depth)
        children = raw.get("Plans", ())
        if not isinstance(children, list | tuple):
            raise Misused(f'"Plans" of node {number} is not a list', hint="save what EXPLAIN prints, unchanged")
        waiting.extend((child, number, depth + 1) for child in reversed(children))


def _node(place: _Place) -> Node:
    raw = place.raw
    loops = _number(raw, "Actual Loops")
    seconds = _seconds(raw, "Actual Total Time")
    return Node(
        number=place.number,
        parent=place.parent,
        depth=place.depth,
        kind=raw["Node Type"],
        title=title(raw),
        relationship=_text(raw, "Parent Relationship"),
        subplan=_text(raw, "Subplan Name"),
        join_type=_text(raw, "Join Type"),
        operation=_text(raw, "Operation"),
        relation=_text(raw, "Relation Name"),
        schema=_text(raw, "Schema"),
        alias=_text(raw, "Alias"),
        index=_text(raw, "Index Name"),
        cte=_text(raw, "CTE Name"),
        parallel=raw.get("Parallel Aware") is True,
        startup_cost=_number(raw, "Startup Cost"),
        total_cost=_number(raw, "Total Cost"),
        planned_rows=_number(raw, "Plan Rows"),
        rows=_number(raw, "Actual Rows"),
        loops=loops,
        loop_s=seconds,
        removed=_removed(raw, loops),
        heap_fetches=_count(raw, "Heap Fetches"),
        bitmap=Bitmap(_count(raw, "Exact Heap Blocks") or 0, _count(raw, "Lossy Heap Blocks") or 0),
        memory=_memory(raw),
        buffers=_buffers(raw),
        output=_joined(raw["Output"]) if raw.get("Output") else None,
        workers_planned=_count(raw, "Workers Planned"),
        workers_launched=_count(raw, "Workers Launched"),
        conditions=tuple((label, _joined(raw[label])) for label in CONDITIONS if raw.get(label) not in (None, [], "")),
    )


def title(raw: Mapping[str, Any]) -> str:
    """The node's line as EXPLAIN prints it in text: `Parallel Hash Left Join`, `Index Scan using i on s.t a`."""
    words = _kind_words(raw)
    if raw.get("Parallel Aware") is True:
        words = f"Parallel {words}"
    if raw.get("Scan Direction") == "Backward":
        words += " Backward"
    index, relation = _text(raw, "Index Name"), _text(raw, "Relation Name")
    subject = relation or _text(raw, "CTE Name") or _text(raw, "Function Name") or _text(raw, "Tuplestore Name")
    if relation and (schema := _text(raw, "Schema")):
        subject = f"{schema}.{relation}"
    if index is not None:
        words += f" on {index}" if subject is None else f" using {index}"
    alias = _text(raw, "Alias")
    if subject is None:
        return words if alias is None else f"{words} on {alias}"
    shown = "" if alias in (None, relation, subject) else f" {alias}"
    return f"{words} on {subject}{shown}"


def _kind_words(raw: Mapping[str, Any]) -> str:
    kind: str = raw["Node Type"]
    strategy, join = raw.get("Strategy"), raw.get("Join Type")
    if kind == "Aggregate":
        prefix = {"Hashed": "Hash", "Sorted": "Group", "Mixed": "Mixed"}.get(str(strategy), "")
        partial = raw.get("Partial Mode")
        return f"{partial} {prefix}Aggregate" if partial in ("Partial", "Finalize") else f"{prefix}Aggregate"
    if kind == "SetOp":
        return f"{'Hash' if strategy == 'Hashed' else ''}SetOp {raw.get('Command', '')}".rstrip()
    if kind == "ModifyTable":
        return str(raw.get("Operation", kind))
    if provider := _text(raw, "Custom Plan Provider"):
        return f"{kind} ({provider})"
    if join in (None, "Inner"):
        return kind
    return f"{kind.removesuffix(' Join')} {join} Join"


def _removed(raw: Mapping[str, Any], loops: float | None) -> Removed:
    by_filter, by_join, by_recheck = (
        (_number(raw, f"Rows Removed by {what}") or 0.0) * (loops or 0.0)
        for what in ("Filter", "Join Filter", "Index Recheck")
    )
    return Removed(by_filter, by_join, by_recheck)


def _memory(raw: Mapping[str, Any]) -> Memory:
    """Of a plain or incremental sort, a hash table, a hashed aggregate: a node is one of them at most."""
    workers = [one for one in _list(raw.get("Workers")) if isinstance(one, Mapping)]
    everywhere = [raw, *workers]
    disk = sum(_kilobytes(one, "Sort Space Used") for one in everywhere if one.get("Sort Space Type") == "Disk")
    disk += sum(_kilobytes(one, "Disk Usage") for one in everywhere)
    groups = [_mapping(one.get(name)) for one in everywhere for name in ("Full-sort Groups", "Pre-sorted Groups")]
    disk += sum(_kilobytes(_mapping(group.get("Sort Space Disk")), "Peak Sort Space Used") for group in groups)
    memory = _kilobytes(raw, "Sort Space Used") if raw.get("Sort Space Type") == "Memory" else 0
    memory = memory or _kilobytes(raw, "Peak Memory Usage")
    batches = [_count(one, name) for one in everywhere for name in ("Hash Batches", "HashAgg Batches")]
    return Memory(
        sort_method=_text(raw, "Sort Method"),
        in_memory_bytes=memory or None,
        on_disk_bytes=disk,
        batches=max((count for count in batches if count is not None), default=None),
        planned_batches=_count(raw, "Original Hash Batches"),
    )


def _buffers(raw: Mapping[str, Any]) -> Buffers | None:
    kinds = ("Shared Hit", "Shared Read", "Shared Dirtied", "Shared Written", "Local Hit", "Local Read", "Temp Read",
             "Temp Written")  # fmt: skip
    if not any(f"{kind} Blocks" in raw for kind in kinds):
        return None
    return Buffers(*(_count(raw, f"{kind} Blocks") or 0 for kind in kinds))


def _triggers(raw: object) -> Iterator[Trigger]:
    for one in _list(raw):
        if isinstance(one, Mapping):
            name = _text(one, "Constraint Name") or _text(one, "Trigger Name") or "?"
            yield Trigger(name, _text(one, "Relation"), _seconds(one, "Time") or 0.0, _count(one, "Calls") or 0)


def _jit_seconds(raw: object) -> float | None:
    return _seconds(_mapping(_mapping(raw).get("Timing")), "Total")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    return value if isinstance(value, str) else None


def _number(raw: Mapping[str, Any], name: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        raise Misused(f'"{name}" of the plan is {str(value)[:40]!r}, not a number', hint="save the plan unchanged")
    return float(value)


def _count(raw: Mapping[str, Any], name: str) -> int | None:
    value = _number(raw, name)
    return None if value is None else int(value)


def _seconds(raw: Mapping[str, Any], name: str) -> float | None:
    value = _number(raw, name)
    return None if value is None else value / 1000


def _kilobytes(raw: Mapping[str, Any], name: str) -> int:
    return (_count(raw, name) or 0) * 1024


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
