"""The step kind `gate`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field, field_validator

from dbtune.baseline.document import check_name
from dbtune.baseline.gates import GateSyntaxError, evaluate, parse, say
from dbtune.baseline.outcome import Gate as Outcome
from dbtune.baseline.readings import Measured as Measurements
from dbtune.core.errors import Misused
from dbtune.core.questions import Facts, Failed, Measured, Question
from dbtune.steps.step import Plan, Step, Verdict


class Gate(Step):
    """Holds a measurement against limits, and fails when one of them does not hold. Changes nothing.

    The measurement is the newest baseline made after the one called `baseline` (a `load` step before this one makes
    such a baseline), or the one called `after`. `latency.p95`, `errors.rate`, `throughput.rate`, `redis.hit_rate`, a
    probe's `NAME.p50` are among the figures; `baseline` in an expression is the same figure of the baseline. What was
    not measured fails.
    """

    kind: ClassVar[str] = "gate"
    changes: ClassVar[bool] = False

    baseline: str | None = Field(default=None, description="name of the baseline to compare with")
    after: str | None = Field(default=None, description="name of the baseline to judge; the newest by default")
    expect: tuple[str, ...] = Field(
        min_length=1, description="expressions such as `latency.p95 < baseline * 0.5` or `errors.rate < 0.1%`"
    )

    @field_validator("baseline", "after")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        try:
            return value if value is None else check_name(value)
        except Misused as error:
            raise ValueError(error.message) from error

    @field_validator("expect", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("expect")
    @classmethod
    def _can_be_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                parse(text)
            except GateSyntaxError as error:
                raise ValueError(str(error)) from error
        return value

    def title(self) -> str:
        more = f" and {len(self.expect) - 1} more" if len(self.expect) > 1 else ""
        return f"gate {self.expect[0]}{more}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        yield Measured(self.baseline, self.after)

    def plan(self, facts: Facts) -> Plan:
        found = facts[Measured(self.baseline, self.after)]
        if isinstance(found, Failed):
            return Plan("in_sync", notes=(f"not measured yet: {found.reason}",))
        return Plan("in_sync", notes=tuple(f"not met now: {say(gate)}" for gate in self._judge(found) if not gate.ok))

    def verify(self, facts: Facts) -> Verdict:
        found = facts[Measured(self.baseline, self.after)]
        if isinstance(found, Failed):
            hint = f" ({found.hint})" if found.hint else ""
            return Verdict(ok=False, reason=f"{found.reason}{hint}")
        gates = self._judge(found)
        unmet = [say(gate) for gate in gates if not gate.ok]
        after = {
            "before": found.before_name,
            "after": found.after_name,
            "gates": [
                {"expression": gate.expression, "ok": gate.ok, "value": gate.value, "limit": gate.limit,
                 "reason": gate.reason} for gate in gates
            ],
        }  # fmt: skip
        return Verdict(ok=not unmet, reason="; ".join(unmet) or None, after=after)

    def _judge(self, found: Measurements) -> list[Outcome]:
        return [evaluate(parse(text), found.after, found.before) for text in self.expect]
