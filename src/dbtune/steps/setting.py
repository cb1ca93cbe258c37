"""The step kind `setting`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from dbtune.core.actions import Scope
from dbtune.core.questions import Facts, Question
from dbtune.steps.parameters import Wanted
from dbtune.steps.step import Plan, Step, Verdict


class Setting(Step):
    """One parameter of PostgreSQL, for the whole system, this database, or a role.

    `plan` checks the name, the value's unit and range, and the privilege, and says whether a restart is needed.
    `apply` changes nothing where the value is laid down already, reloads where that is enough, and never restarts.
    `rollback` restores the prior entry, or its absence, and only over the entry that this run wrote.
    """

    kind: ClassVar[str] = "setting"

    name: str = Field(min_length=1, description="as in pg_settings: `work_mem`")
    value: str | int | float | bool = Field(description="with its unit: `64MB`, `2s`, `on`")
    scope: Scope = Field(default="database", description="`system` is ALTER SYSTEM and a reload")
    role: str | None = Field(default=None, description="which role, for `scope: role`")

    @field_validator("name")
    @classmethod
    def _lower(cls, name: str) -> str:
        return name.lower()

    @model_validator(mode="after")
    def _role_goes_with_its_scope(self) -> Setting:
        if (self.scope == "role") != (self.role is not None):
            raise ValueError("scope: role needs a role, and a role needs scope: role")
        return self

    def title(self) -> str:
        return f"setting {self.name} = {self.value} ({self.role or self.scope})"

    @property
    def _wanted(self) -> Wanted:
        return Wanted(self.name, as_text(self.value), self.scope, self.role)

    def questions(self, facts: Facts) -> Iterable[Question]:
        return self._wanted.questions(facts)

    def plan(self, facts: Facts) -> Plan:
        return self._wanted.plan(facts)

    def verify(self, facts: Facts) -> Verdict:
        return verdict(self.plan(facts))


def as_text(value: str | float | bool) -> str:  # noqa: FBT001 - a YAML value
    """A YAML value as PostgreSQL reads it: true is `on`."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def verdict(plan: Plan) -> Verdict:
    """Laid down is not yet in effect: a parameter that waits for a restart is not verified."""
    if plan.status == "in_sync" and plan.restart:
        return Verdict(ok=False, reason="; ".join(plan.notes), after=plan.before)
    if plan.status == "in_sync":
        return Verdict(ok=True, after=plan.before)
    return Verdict(ok=False, reason=plan.reason or "it is not laid down", after=plan.before)
