"""How a plan reaches its tables, read from EXPLAIN's JSON."""

from __future__ import annotations

from typing import Any

from dbtune.advisor.access import Table
from dbtune.advisor.reading import read_accesses


def scan(number: int, **more: str) -> dict[str, Any]:
    alias = f"m_{number}"
    return {
        "Node Type": "Seq Scan", "Schema": "public", "Relation Name": f"measures_{number}", "Alias": alias,
        "Output": [f"{alias}.sensor", f"{alias}.taken"],
    } | {label: text.replace("m.", f"{alias}.") for label, text in more.items()}  # fmt: skip


def join(*partitions: dict[str, Any]) -> dict[str, Any]:
    tasks = {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "tasks", "Alias": "t", "Output": ["t.rank"]}
    append = {"Node Type": "Append", "Plans": list(partitions)}
    output = ["m.sensor", "t.rank"]
    plan = {"Node Type": "Hash Join", "Hash Cond": "(m.sensor = t.rank)", "Output": output, "Plans": [append, tasks]}
    return {"Plan": plan}


def root_of(table: Table) -> Table:
    return ("public", "measures") if table[1].startswith("measures") else table


def conditions(document: dict[str, Any]) -> set[tuple[str, str]]:
    found = read_accesses(document, root_of, lambda _: ())
    return {(access.table[1], one.text) for access in found for one in access.conditions}


def test_of_partitions_that_are_read_alike_the_first_tells_it_all() -> None:
    few, many = (join(*(scan(number, Filter="(m.taken > 5)") for number in range(1, most))) for most in (2, 900))
    assert conditions(few) == conditions(many) == {
        ("measures", "sensor = rank"), ("measures", "taken > 5"), ("tasks", "sensor = rank"),
    }  # fmt: skip
    assert len(read_accesses(many, root_of, lambda _: ())) == 2


def test_a_partition_that_is_read_otherwise_is_told_too() -> None:
    found = conditions(join(scan(1), scan(2, Filter="(m.taken > 5)"), scan(3)))
    assert found == {("measures", "sensor = rank"), ("measures", "taken > 5"), ("tasks", "sensor = rank")}
