"""What every step kind is: a frozen model of what a person wrote, and pure judgement over facts."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from dbtune.core.actions import Action
from dbtune.core.questions import Facts, Question

PlanStatus = Literal["in_sync", "change", "conflict", "blocked"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step would do to the server as it is now.

    `actions` make it so, `undo` takes it back (in the order of execution), `before` is the state that `undo`
    restores. `reason` explains every status but `change`; `notes` warn. `lock` is PostgreSQL's name of the
    strongest lock taken; `size_bytes` an estimate of what is added on disk. `restart`: takes effect only then.
    """

    status: PlanStatus
    actions: tuple[Action, ...] = ()
    undo: tuple[Action, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    notes: tuple[str, ...] = ()
    lock: str | None = None
    size_bytes: int | None = None
    restart: bool = False
    blockers: tuple[str, ...] = ()
    """Sessions that the change would wait for right now, oldest first, in words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the server is as the step wants it; `after` is the state found, `reason` says what is not so."""

    ok: bool
    reason: str | None = None
    after: Mapping[str, Any] = field(default_factory=dict)


class Step(BaseModel):
    """One kind of step. `kind` is its key in a playbook, its docstring is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    needs_redis: ClassVar[bool] = False
    changes: ClassVar[bool] = True
    """False for kinds that only look: their failure is an answer (exit 1), not a failed change (exit 4)."""

    def fingerprint(self) -> str:
        """A digest that changes when anything that the step would do changes."""
        return hashlib.sha256(f"{self.kind}\n{self.model_dump_json()}".encode()).hexdigest()

    def title(self) -> str:
        """The name of a step that was given none."""
        raise NotImplementedError

    def questions(self, facts: Facts) -> Iterable[Question]:
        """What must be known before `plan`, given what is known already. Asked again until nothing new comes."""
        return ()

    def plan(self, facts: Facts) -> Plan:
        raise NotImplementedError

    def verify_questions(self, facts: Facts) -> Iterable[Question]:
        """As `questions`, for `verify`."""
        return self.questions(facts)

    def verify(self, facts: Facts) -> Verdict:
        """By default a step is verified when planning it again finds nothing to do."""
        plan = self.plan(facts)
        return Verdict(ok=plan.status == "in_sync", reason=plan.reason, after=plan.before)


@cache
def kinds() -> Mapping[str, type[Step]]:
    """Every step kind by the key that it has in a playbook."""
    found: dict[str, type[Step]] = {}
    for name in _modules():
        found |= _kinds_in(name)
    return dict(sorted(found.items()))


@cache
def kind_named(key: str) -> type[Step] | None:
    """As `kinds().get(key)`. A kind in a module of its own name is found without the others: commands start sooner."""
    return (_kinds_in(key).get(key) if key in _modules() else None) or kinds().get(key)


@cache
def _modules() -> frozenset[str]:
    package = importlib.import_module("dbtune.steps")
    return frozenset(module.name for module in pkgutil.iter_modules(package.__path__))


def _kinds_in(name: str) -> dict[str, type[Step]]:
    values = vars(importlib.import_module(f"dbtune.steps.{name}")).values()
    found = [value for value in values if isinstance(value, type) and issubclass(value, Step) and "kind" in vars(value)]
    return {value.kind: value for value in found}
