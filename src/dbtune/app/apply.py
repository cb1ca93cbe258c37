"""Making a playbook true: intent into the journal, change, verification, conclusion; one step after the other.

A crash at any moment leaves an intent from which the next run, which plans every step anew against the catalog,
converges, and which a rollback can take back.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dbtune.app.perform import perform_all
from dbtune.app.plan import plan_row, plan_steps
from dbtune.app.selection import Selection, report, switched_off
from dbtune.app.verify import verify_change, verify_step
from dbtune.app.workspace import Workspace
from dbtune.core.actions import Action, RunSql
from dbtune.core.errors import ChangeFailed, DbtuneError, Misused
from dbtune.core.journal import Journal, JournalStep, Run, RunStatus, new_run_id
from dbtune.core.progress import Progress
from dbtune.core.reports import RunReport, StepReport
from dbtune.core.secrets import mask_password
from dbtune.playbook.model import Playbook, PlaybookStep
from dbtune.servers.postgres.lock import only_run
from dbtune.servers.postgres.session import UNBOUNDED, Connection, connect
from dbtune.steps.step import Plan, Verdict

UNMET_EXIT, BLOCKED_EXIT, FAILED_EXIT, INTERRUPTED_EXIT = 1, 3, 4, 130


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of an apply. `resume` goes on under the id of the last unfinished run of this playbook.

    `approved` are the rows of a plan that was saved: apply refuses when it would do anything else.
    """

    playbook: Playbook
    selection: Selection = field(default_factory=Selection)
    resume: bool = False
    approved: Sequence[tuple[str, str, tuple[str, ...]]] | None = None
    lock_wait_s: float = 0.0


def apply_playbook(workspace: Workspace, order: Order, progress: Progress) -> RunReport:
    """Raises Unsupported on a replica, Busy, Misused for a saved plan that no longer fits; failures are rows."""
    workspace.refuse_replica()
    # This session holds the lock and writes the journal. It is idle, and without a transaction, during every build:
    # its snapshot would otherwise be one that the build waits for.
    with (
        connect(workspace.dsn, read_only=False, limits=UNBOUNDED) as control,
        only_run(control, wait_s=order.lock_wait_s, progress=progress),
    ):
        return _Applying(workspace, order, control, progress).run()


class _Applying:
    """One apply under way."""

    _journal: Journal

    def __init__(self, workspace: Workspace, order: Order, control: Connection, progress: Progress) -> None:
        self._workspace, self._order, self._control, self._progress = workspace, order, control, progress
        self._started_at, self._clock = datetime.now(UTC), time.monotonic()
        journal = workspace.readable_journal(control) if order.resume else None
        resumed = _unfinished(journal, order.playbook) if order.resume else None
        self._run_id = resumed.run_id if resumed else new_run_id()
        self._places = len(journal.steps(self._run_id)) if resumed and journal else 0
        self._exit_code = 0

    def run(self) -> RunReport:
        steps = self._order.selection.of(self._order.playbook)
        refused = self._refuse_beforehand(steps)
        if refused is not None:
            return replace(self._report(refused), run_id=None)
        # Only now: a run that is refused leaves no trace, not even the journal's tables.
        self._journal = self._workspace.writable_journal(self._control)
        self._journal.begin(_as_run(self._run_id, self._order.playbook, self._workspace.server.user))
        rows: list[StepReport] = []
        status: RunStatus = "failed"
        try:
            self._apply_each(steps, rows)
            status = self._status(rows)
        finally:
            # Also when something unforeseen passes: a run must not look alive after it ended.
            with _lost_servers_already_told(rows):
                self._journal.end(self._run_id, status)
        rows += [report(step, "not_run") for step in steps[len(rows) :]]
        return self._report(rows)

    def _apply_each(self, steps: Sequence[PlaybookStep], rows: list[StepReport]) -> None:
        """Until one fails; an interrupt between two steps ends the run as one within a step does."""
        try:
            for place, step in enumerate(steps):
                self._progress(step.name, place / len(steps))
                rows.append(self._apply(step))
                if rows[-1].status == "failed":
                    break
        except KeyboardInterrupt:
            self._exit_code = INTERRUPTED_EXIT

    def _refuse_beforehand(self, steps: Sequence[PlaybookStep]) -> list[StepReport] | None:
        """Rows when a step cannot succeed whatever the earlier ones do, so that nothing is half done.

        What comes after a pending `sql` step may need what that one makes: it is judged when its turn comes.
        """
        plans = plan_steps(self._workspace, [step for step in steps if step.enabled])
        self._refuse_another_plan(steps, plans)
        doomed: dict[str, Plan] = {}
        for step in steps:
            plan = plans.get(step.id)
            if plan is not None and plan.status in ("conflict", "blocked"):
                doomed[step.id] = plan
            if plan is not None and plan.status == "change" and step.kind == "sql":
                break
        if not doomed:
            return None
        blocked = any(plan.status == "blocked" for plan in doomed.values())
        self._exit_code = BLOCKED_EXIT if blocked else FAILED_EXIT
        return [
            report(step, "failed", error=doomed[step.id].reason, before=doomed[step.id].before)
            if step.id in doomed
            else report(step, "not_run", reason="nothing was changed, because another step cannot succeed")
            for step in steps
        ]

    def _refuse_another_plan(self, steps: Sequence[PlaybookStep], plans: dict[str, Plan]) -> None:
        if self._order.approved is None:
            return
        rows = [plan_row(self._workspace, step, plans[step.id]) for step in steps if step.enabled]
        now = [(row.id, row.status, row.sql) for row in rows]
        if now != list(self._order.approved):
            moved = [row[0] for row in now if row not in self._order.approved]
            raise Misused(
                f"the saved plan no longer fits: {', '.join(moved) or 'steps are missing'} would be done otherwise",
                hint="plan again, look at it, and apply that",
            )

    def _apply(self, step: PlaybookStep) -> StepReport:
        if not step.enabled:
            return switched_off(step)
        clock = time.monotonic()
        try:
            row = self._change(step) if step.step.changes else self._look(step)
        except KeyboardInterrupt:
            self._exit_code = INTERRUPTED_EXIT
            row = report(step, "failed", error="interrupted")
        except DbtuneError as error:
            self._exit_code = error.exit_code
            row = report(step, "failed", error=error.message, hint=error.hint)
        return replace(row, duration_s=time.monotonic() - clock)

    def _look(self, step: PlaybookStep) -> StepReport:
        verdict = verify_step(self._workspace, step.step)
        if not verdict.ok:
            self._exit_code = UNMET_EXIT
            return report(step, "failed", error=verdict.reason, after=verdict.after)
        return report(step, "unchanged", after=verdict.after)

    def _change(self, step: PlaybookStep) -> StepReport:
        plan = plan_steps(self._workspace, [step])[step.id]
        if plan.status == "in_sync":
            return report(step, "unchanged", before=plan.before, reason=plan.reason, notes=plan.notes)
        if plan.status != "change":
            self._exit_code = BLOCKED_EXIT if plan.status == "blocked" else FAILED_EXIT
            return report(step, "failed", error=plan.reason, before=plan.before)
        intent = self._intend(step, plan)
        try:
            work = replace(intent, actions=plan.actions)
            undo, notes = perform_all(self._workspace, self._journal, work, step.timeout_s, self._progress)
            self._journal.conclude(intent, "applied", undo=undo)
            verdict = self._verified(step, plan)
        except BaseException as error:
            # A server that went away takes its journal along. What it was doing then is the better explanation.
            with contextlib.suppress(DbtuneError):
                self._journal.conclude(intent, "failed", error=_said(error))
            raise
        self._journal.conclude(intent, "applied", after=verdict.after)
        return report(
            step,
            "applied",
            sql=intent.sql,
            before=plan.before,
            after=verdict.after,
            reason=verdict.reason,
            notes=(*plan.notes, *notes),
            restart=plan.restart,
            lock=plan.lock,
        )

    def _verified(self, step: PlaybookStep, plan: Plan) -> Verdict:
        """What verify says of the change. A parameter that waits for a restart is applied all the same."""
        verdict = verify_change(self._workspace, step.step)
        if not verdict.ok and not plan.restart:
            raise ChangeFailed(f"the change was made, but {verdict.reason}", hint="see the server's log")
        return verdict

    def _intend(self, step: PlaybookStep, plan: Plan) -> JournalStep:
        intent = JournalStep(
            run_id=self._run_id,
            place=self._places,
            step_id=step.id,
            kind=step.kind,
            name=step.name,
            fingerprint=step.step.fingerprint(),
            actions=tuple(_without_passwords(action) for action in plan.actions),
            undo=plan.undo,
            sql=self._workspace.statements(plan.actions),
            before=plan.before,
        )
        self._places += 1
        self._journal.intend(intent)
        return intent

    def _status(self, rows: Sequence[StepReport]) -> RunStatus:
        if self._exit_code == INTERRUPTED_EXIT:
            return "interrupted"
        if any(row.status == "failed" for row in rows) or len(rows) == 0:
            return "failed"
        return "applied" if any(row.status == "applied" for row in rows) else "unchanged"

    def _report(self, rows: Sequence[StepReport]) -> RunReport:
        return RunReport(
            command="apply",
            playbook=self._order.playbook.path,
            target=self._workspace.target,
            started_at=self._started_at,
            duration_s=time.monotonic() - self._clock,
            steps=tuple(rows),
            run_id=self._run_id,
            playbook_hash=self._order.playbook.hash,
            exit_code=self._exit_code,
            interrupted=self._exit_code == INTERRUPTED_EXIT,
        )


@contextlib.contextmanager
def _lost_servers_already_told(rows: Sequence[StepReport]) -> Iterator[None]:
    """When the journal cannot be written because the server went away, and a row says so, the rows are worth more."""
    try:
        yield
    except DbtuneError:
        if not any(row.status == "failed" for row in rows):
            raise


def _unfinished(journal: Journal | None, playbook: Playbook) -> Run:
    """The newest run of this playbook that did not come to its end. Raises Misused where there is none."""
    for run in journal.runs() if journal else ():
        if run.command == "apply" and run.playbook == playbook.name:
            if run.is_unfinished:
                return run
            break
    raise Misused(f'no run of "{playbook.name}" is unfinished', hint="apply without --resume")


def _as_run(run_id: str, playbook: Playbook, role: str) -> Run:
    return Run(
        run_id=run_id,
        command="apply",
        playbook=playbook.name,
        playbook_hash=playbook.hash,
        reverts=None,
        status="running",
        started_at=datetime.now(UTC),
        ended_at=None,
        role=role,
        host=socket.gethostname(),
        client_pid=os.getpid(),
    )


def _without_passwords(action: Action) -> Action:
    """For the journal. Nothing performs these again; only what takes them back has to stay as it was written."""
    return replace(action, sql=mask_password(action.sql)) if isinstance(action, RunSql) else action


def _said(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
