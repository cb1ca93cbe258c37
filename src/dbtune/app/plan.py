"""What apply would do, seen from one read-only session."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dbtune.app.selection import Selection, report, switched_off
from dbtune.app.workspace import Workspace
from dbtune.core.questions import Facts, Question
from dbtune.core.reports import RunReport, StepReport
from dbtune.playbook.model import Playbook, PlaybookStep
from dbtune.steps.step import Plan, Step

CONFLICT_EXIT, BLOCKED_EXIT = 1, 3


def make_plan(workspace: Workspace, playbook: Playbook, selection: Selection) -> RunReport:
    """Changes nothing. Raises Unsupported on a replica."""
    workspace.refuse_replica()
    started_at, clock = datetime.now(UTC), time.monotonic()
    steps = selection.of(playbook)
    plans = plan_steps(workspace, [step for step in steps if step.enabled])
    rows = tuple(plan_row(workspace, step, plans[step.id]) if step.enabled else switched_off(step) for step in steps)
    return RunReport(
        command="plan",
        playbook=playbook.path,
        target=workspace.target,
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        steps=rows,
        playbook_hash=playbook.hash,
        exit_code=_exit_code(rows),
    )


def plan_steps(workspace: Workspace, steps: Sequence[PlaybookStep]) -> dict[str, Plan]:
    """The plan of each step by its id, over facts that were asked for all of them at once."""
    facts = workspace.learn([step.step for step in steps], _ask)
    return {step.id: step.step.plan(facts) for step in steps}


def plan_row(workspace: Workspace, step: PlaybookStep, plan: Plan) -> StepReport:
    hopeless = plan.status in ("conflict", "blocked")
    return report(
        step,
        plan.status,
        sql=workspace.statements(plan.actions),
        before=plan.before,
        reason=None if hopeless else plan.reason,
        error=plan.reason if hopeless else None,
        notes=plan.notes,
        lock=plan.lock,
        size_bytes=plan.size_bytes,
        restart=plan.restart,
        blockers=plan.blockers,
    )


def _ask(step: Step, facts: Facts) -> Iterable[Question]:
    return step.questions(facts)


def _exit_code(rows: Sequence[StepReport]) -> int:
    statuses = {row.status for row in rows}
    return BLOCKED_EXIT if "blocked" in statuses else CONFLICT_EXIT if "conflict" in statuses else 0
