"""What an insight is, and how all of them are found: a rule looks at a plan and yields what it sees."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from dbtune.plans.plan import Node, Plan

Severity = Literal["critical", "warning", "info"]
Unit = Literal["share", "factor", "rows", "blocks", "bytes", "seconds", "loops", "batches", "tables"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the server knows of a table beside the plan. `analyzed` is whether it ever was."""

    schema: str
    name: str
    rows: float
    modified_rows: int
    analyzed: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the plan; nothing of it for a saved one. `statement` is SQL as far as it is known."""

    tables: tuple[TableFacts, ...] = ()
    work_mem_bytes: int | None = None
    statement: str | None = None

    def table(self, node: Node) -> TableFacts | None:
        found = (one for one in self.tables if one.name == node.relation and node.schema in (None, one.schema))
        return next(found, None)


NOTHING_KNOWN = Surroundings()


@dataclass(frozen=True, slots=True)
class Insight:
    """One thing worth knowing. `node` is its title, `node_number` its number in the plan; None is the plan as a whole.

    `value` and `threshold` are in `unit` (shares from 0 to 1). `action` can be tried; `sql` is that in SQL, where it
    can be said.
    """

    code: str
    name: str
    severity: Severity
    node: str
    node_number: int | None
    value: float
    threshold: float
    unit: Unit
    message: str
    action: str
    sql: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """An insight before its rule has signed it."""

    node: Node | None
    value: float
    threshold: float
    message: str
    action: str
    severity: Severity = "warning"
    sql: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`look` finds it; its docstring says what it means, why it matters and what to do."""

    code: str
    name: str
    unit: Unit
    look: Callable[[Plan, Surroundings], Iterable[Seen]] = field(repr=False)

    @property
    def documentation(self) -> str:
        return inspect.cleandoc(self.look.__doc__ or "")

    def sign(self, seen: Seen) -> Insight:
        return Insight(
            code=self.code,
            name=self.name,
            severity=seen.severity,
            node="plan" if seen.node is None else seen.node.title,
            node_number=None if seen.node is None else seen.node.number,
            value=seen.value,
            threshold=seen.threshold,
            unit=self.unit,
            message=seen.message,
            action=seen.action,
            sql=seen.sql,
        )


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its code. Raises ValueError when two claim one code or name: a bug."""
    package = importlib.import_module("dbtune.plans.insights")
    found: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for rule in getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "RULES", ()):
            if rule.code in found or rule.name in {other.name for other in found.values()}:
                raise ValueError(f"two insights claim {rule.code} or {rule.name}")
            found[rule.code] = rule
    return dict(sorted(found.items()))


def look_into(plan: Plan, surroundings: Surroundings = NOTHING_KNOWN) -> tuple[Insight, ...]:
    """Every insight, the worst first, then in the order of the codes and of the plan."""
    found = [rule.sign(seen) for rule in rules().values() for seen in rule.look(plan, surroundings)]
    return tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.code, one.node_number or 0)))


def level(value: float, thresholds: tuple[float, float, float]) -> tuple[Severity, float] | None:
    """The severity of a value above the first, second or third threshold, and which it was; None below all."""
    passed = [(name, limit) for name, limit in zip(reversed(SEVERITIES), thresholds, strict=True) if value > limit]
    return passed[-1] if passed else None
