"""The step kind `explain`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dbtune.core.questions import Explained, Facts, Failed, Question
from dbtune.core.units import Duration, format_duration
from dbtune.plans.tree import Scan, execution_time_s, most_rows_removed, scans
from dbtune.steps.sql import statements
from dbtune.steps.step import Plan, Step, Verdict

READING = ("SELECT", "WITH", "VALUES", "TABLE")
REPEATS = 3
"""Executions whose median time counts: the first pays for a cold cache."""


class Expectations(BaseModel):
    """What the plan must look like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uses_index: bool | str | tuple[str, ...] | None = Field(
        default=None, description="true: some index; a name or names: these"
    )
    no_seq_scan: bool | tuple[str, ...] | None = Field(
        default=None, description="tables that must not be read as a whole; true: no table at all"
    )
    max_time: Duration | None = Field(default=None, description="execution time, median of three runs")
    max_rows_removed: int | None = Field(default=None, ge=0, description="rows that one node may read and throw away")

    @field_validator("no_seq_scan", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @property
    def need_execution(self) -> bool:
        return self.max_time is not None or self.max_rows_removed is not None


class Explain(Step):
    """Looks at the plan of a statement, and fails when it is not as expected. Changes nothing.

    `plan` uses EXPLAIN alone. `apply` and `verify` execute the statement where `max_time` or `max_rows_removed` ask
    for it: only SELECTs, in a transaction that the server holds read-only. `$1` takes its value from `params`;
    without params the generic plan is judged.
    """

    kind: ClassVar[str] = "explain"
    changes: ClassVar[bool] = False

    sql: str = Field(min_length=1, description="one statement")
    params: tuple[Any, ...] = Field(default=(), description="values of $1, $2 …")
    expect: Expectations = Field(default_factory=Expectations)

    @model_validator(mode="after")
    def _can_be_explained(self) -> Explain:
        found = statements(self.sql)
        if len(found) != 1:
            raise ValueError(f"explain takes one statement, not {len(found)}")
        if self.expect.need_execution and not found[0].lstrip("( \n\t").upper().startswith(READING):
            raise ValueError("max_time and max_rows_removed execute the statement, and only a SELECT is executed")
        if self.expect.need_execution and "$1" in self.sql and not self.params:
            raise ValueError("max_time and max_rows_removed execute the statement: give params for $1 and the rest")
        return self

    def title(self) -> str:
        first = " ".join(self.sql.split())
        return f"explain {first[:60]}{'…' if len(first) > 60 else ''}"

    def questions(self, facts: Facts) -> Iterable[Question]:
        yield self._question(execute=False)

    def verify_questions(self, facts: Facts) -> Iterable[Question]:
        yield self._question(execute=self.expect.need_execution)

    def _question(self, *, execute: bool) -> Explained:
        return Explained(statements(self.sql)[0], self.params, analyze=execute, repeats=REPEATS if execute else 1)

    def plan(self, facts: Facts) -> Plan:
        answer = facts[self._question(execute=False)]
        if isinstance(answer, Failed):
            return Plan("conflict", reason=f"the statement cannot be explained: {answer.reason}")
        unmet = tuple(f"not met now: {text}" for text in self._unmet(answer, executed=False))
        return Plan("in_sync", notes=unmet)

    def verify(self, facts: Facts) -> Verdict:
        answer = facts[self._question(execute=self.expect.need_execution)]
        if isinstance(answer, Failed):
            return Verdict(ok=False, reason=f"the statement cannot be explained: {answer.reason}")
        unmet = self._unmet(answer, executed=self.expect.need_execution)
        after: dict[str, object] = {
            "scans": [str(scan) for scan in scans(answer)],
            "total_cost": answer["Plan"]["Total Cost"],
        }
        if self.expect.need_execution:
            after["execution_time_s"] = execution_time_s(answer)
        return Verdict(ok=not unmet, reason="; ".join(unmet) or None, after=after)

    def _unmet(self, plan: dict[str, Any], *, executed: bool) -> list[str]:
        found = list(scans(plan))
        unmet = [*_missing_indexes(self.expect.uses_index, found), *_seq_scans(self.expect.no_seq_scan, found)]
        if executed and self.expect.max_time is not None and (spent := execution_time_s(plan)) > self.expect.max_time:
            unmet.append(f"it took {format_duration(spent)}, more than {format_duration(self.expect.max_time)}")
        if executed and self.expect.max_rows_removed is not None:
            node, removed = most_rows_removed(plan)
            if removed > self.expect.max_rows_removed:
                unmet.append(f"{node} threw away {removed:.0f} rows, more than {self.expect.max_rows_removed}")
        return unmet


def _missing_indexes(wanted: bool | str | tuple[str, ...] | None, found: list[Scan]) -> Iterable[str]:  # noqa: FBT001
    used = [scan.index for scan in found if scan.index is not None]
    if wanted is True and not used:
        yield "no index is used"
    if wanted is False and used:
        yield f"{', '.join(used)} is used"
    names = (wanted,) if isinstance(wanted, str) else wanted if isinstance(wanted, tuple) else ()
    for name in names:
        if name not in used:
            yield f"index {name} is not used" + (f", but {', '.join(used)}" if used else "")


def _seq_scans(forbidden: bool | tuple[str, ...] | None, found: list[Scan]) -> Iterable[str]:  # noqa: FBT001
    for scan in found:
        if not scan.is_sequential:
            continue
        if forbidden is True or (isinstance(forbidden, tuple) and {scan.relation, scan.qualified} & set(forbidden)):
            yield f"{scan.relation} is read as a whole"
