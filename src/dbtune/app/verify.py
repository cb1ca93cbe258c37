"""Whether the servers are as a playbook says, and whether its statements run as expected."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from dbtune.app.selection import Selection, report, switched_off
from dbtune.app.workspace import Workspace
from dbtune.core.progress import Progress
from dbtune.core.questions import Facts, Question
from dbtune.core.reports import RunReport, StepReport
from dbtune.playbook.model import Playbook, PlaybookStep
from dbtune.steps.step import Step, Verdict

PATIENCE_S = (0.0, 0.3, 1.0)
"""Pauses before each look: statistics reach the views of PostgreSQL 13 and 14 with half a second's delay."""


def verify_playbook(workspace: Workspace, playbook: Playbook, selection: Selection, progress: Progress) -> RunReport:
    """Changes nothing, and is as good on a replica as on the primary."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    rows = []
    steps = selection.of(playbook)
    for place, step in enumerate(steps):
        progress(f"verifying {step.name}", place / len(steps))
        rows.append(_verify_row(workspace, step) if step.enabled else switched_off(step))
    return RunReport(
        command="verify",
        playbook=playbook.path,
        target=workspace.target,
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        steps=tuple(rows),
        playbook_hash=playbook.hash,
        exit_code=1 if any(row.status == "failed" for row in rows) else 0,
    )


def verify_step(workspace: Workspace, step: Step) -> Verdict:
    """The verdict over a fresh session, since an old one keeps old settings."""
    facts = workspace.learn([step], _ask, fresh=True)
    return step.verify(facts)


def verify_change(workspace: Workspace, step: Step) -> Verdict:
    """As `verify_step`, right after a change, with a little patience for what the server tells late."""
    verdict = Verdict(ok=False)
    for pause_s in PATIENCE_S:
        time.sleep(pause_s)
        verdict = verify_step(workspace, step)
        if verdict.ok:
            break
    return verdict


def _verify_row(workspace: Workspace, step: PlaybookStep) -> StepReport:
    clock = time.monotonic()
    verdict = verify_step(workspace, step.step)
    return report(
        step,
        "ok" if verdict.ok else "failed",
        after=verdict.after,
        reason=verdict.reason if verdict.ok else None,
        error=None if verdict.ok else verdict.reason or "it is not so",
        duration_s=time.monotonic() - clock,
    )


def _ask(step: Step, facts: Facts) -> tuple[Question, ...]:
    return tuple(step.verify_questions(facts))
