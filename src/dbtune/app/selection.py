"""Which steps of a playbook a command works on."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.core.errors import Misused
from dbtune.core.identifiers import did_you_mean
from dbtune.core.reports import StepReport, StepStatus
from dbtune.playbook.model import Playbook, PlaybookStep


@dataclass(frozen=True, slots=True)
class Selection:
    """Steps by id and by tag; none named means all."""

    ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def of(self, playbook: Playbook) -> tuple[PlaybookStep, ...]:
        """Raises Misused for an id or a tag that no step has."""
        self._refuse_unknown("step", self.ids, {step.id for step in playbook.steps})
        self._refuse_unknown("tag", self.tags, {tag for step in playbook.steps for tag in step.tags})
        return tuple(step for step in playbook.steps if self._takes(step))

    def _takes(self, step: PlaybookStep) -> bool:
        by_id = not self.ids or step.id in self.ids
        by_tag = not self.tags or bool(set(self.tags) & set(step.tags))
        return by_id and by_tag

    def _refuse_unknown(self, what: str, asked: tuple[str, ...], known: set[str]) -> None:
        for name in asked:
            if name not in known:
                hint = did_you_mean(name, sorted(known)) or f"there are: {', '.join(sorted(known)) or 'none'}"
                raise Misused(f'the playbook has no {what} "{name}"', hint=hint)


def report(step: PlaybookStep, status: StepStatus, **more: object) -> StepReport:
    """A row about a step."""
    return StepReport(id=step.id, kind=step.kind, name=step.name, status=status, **more)  # type: ignore[arg-type]


def switched_off(step: PlaybookStep) -> StepReport:
    return report(step, "skipped", reason="its `when` is false")
