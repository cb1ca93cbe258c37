"""The step kind `slow_log`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dbtune.core.actions import Scope
from dbtune.core.questions import Facts, Question
from dbtune.core.units import Duration, Size
from dbtune.steps.parameters import Wanted
from dbtune.steps.setting import verdict
from dbtune.steps.step import Plan, Step, Verdict

OFF = -1


class SlowLog(Step):
    """What the server writes to its log about slow work; several parameters as one step.

    Only what the step names is changed. A threshold of 0 logs every statement and is warned of.
    """

    kind: ClassVar[str] = "slow_log"

    min_duration: Duration | None = Field(default=None, description="log statements that take longer: `100ms`")
    statements: Literal["none", "ddl", "mod", "all"] | None = Field(default=None, description="log_statement")
    lock_waits: bool | None = Field(default=None, description="log waits longer than deadlock_timeout")
    temp_files: Size | None = Field(default=None, description="log temporary files of at least this size: `10MB`")
    autovacuum: Duration | None = Field(default=None, description="log autovacuum runs that take longer: `1s`")
    checkpoints: bool | None = None
    scope: Scope = Field(default="system", description="`database` or `role` where ALTER SYSTEM is not to be had")
    role: str | None = Field(default=None, description="which role, for `scope: role`")

    @model_validator(mode="after")
    def _asks_for_something(self) -> SlowLog:
        if not self._wanted:
            raise ValueError("slow_log names nothing to log: give at least min_duration")
        if (self.scope == "role") != (self.role is not None):
            raise ValueError("scope: role needs a role, and a role needs scope: role")
        return self

    def title(self) -> str:
        return "slow log: " + ", ".join(f"{wanted.name} = {wanted.value}" for wanted in self._wanted)

    @property
    def _wanted(self) -> tuple[Wanted, ...]:
        values = {
            "log_min_duration_statement": _milliseconds(self.min_duration),
            "log_statement": self.statements,
            "log_lock_waits": _switch(self.lock_waits),
            "log_temp_files": None if self.temp_files is None else f"{self.temp_files >> 10}kB",
            "log_autovacuum_min_duration": _milliseconds(self.autovacuum),
            "log_checkpoints": _switch(self.checkpoints),
        }
        return tuple(Wanted(name, value, self.scope, self.role) for name, value in values.items() if value is not None)

    def questions(self, facts: Facts) -> Iterable[Question]:
        for wanted in self._wanted:
            yield from wanted.questions(facts)

    def plan(self, facts: Facts) -> Plan:
        plans = {wanted.name: wanted.plan(facts) for wanted in self._wanted}
        before = {name: plan.before.get("entry") for name, plan in plans.items()}
        for status in ("conflict", "blocked"):
            bad = [plan.reason for plan in plans.values() if plan.status == status and plan.reason]
            if bad:
                return Plan("conflict" if status == "conflict" else "blocked", reason="; ".join(bad), before=before)
        changes = [plan for plan in plans.values() if plan.status == "change"]
        notes = list(dict.fromkeys(note for plan in plans.values() for note in plan.notes))
        if self.min_duration == 0:
            notes.append("a threshold of 0 logs every statement: too much for production")
        return Plan(
            "change" if changes else "in_sync",
            actions=tuple(action for plan in changes for action in plan.actions),
            undo=tuple(action for plan in reversed(changes) for action in plan.undo),
            before=before,
            notes=tuple(notes),
            restart=any(plan.restart for plan in plans.values()),
        )

    def verify(self, facts: Facts) -> Verdict:
        return verdict(self.plan(facts))


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{round(seconds * 1000)}ms"


def _switch(on: bool | None) -> str | None:  # noqa: FBT001 - a YAML value
    return None if on is None else ("on" if on else "off")
