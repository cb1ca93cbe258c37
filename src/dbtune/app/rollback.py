"""Taking a run back: in reverse order, and only what that run changed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from dbtune.app.perform import take_back
from dbtune.app.workspace import Workspace
from dbtune.core.actions import Action, ForgetKeys, RunSql, SetRedisSetting
from dbtune.core.errors import DbtuneError, Misused
from dbtune.core.identifiers import did_you_mean
from dbtune.core.journal import Journal, JournalStep, Run, RunStatus, new_run_id
from dbtune.core.progress import Progress
from dbtune.core.questions import Facts, Question
from dbtune.core.reports import RunReport, StepReport
from dbtune.servers.postgres.lock import only_run
from dbtune.servers.postgres.session import UNBOUNDED, connect
from dbtune.steps import undo

LAST = "last"
FAILED_EXIT, INTERRUPTED_EXIT = 4, 130
SETTLED = ("reverted", "nothing_to_do")


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: Literal["reverted", "nothing_to_do", "kept", "failed"]
    reason: str | None = None
    error: DbtuneError | None = None


def roll_back(workspace: Workspace, run_id: str, progress: Progress, *, lock_wait_s: float = 0.0) -> RunReport:
    """Raises Misused for a run that the journal does not know, Unsupported on a replica, Busy; failures are rows."""
    workspace.refuse_replica()
    with (
        connect(workspace.dsn, read_only=False, limits=UNBOUNDED) as control,
        only_run(control, wait_s=lock_wait_s, progress=progress),
    ):
        target = find_run(workspace.readable_journal(control), run_id)
        return _RollingBack(workspace, workspace.writable_journal(control), progress).run(target)


class _RollingBack:
    """One rollback under way."""

    def __init__(self, workspace: Workspace, journal: Journal, progress: Progress) -> None:
        self._workspace, self._journal, self._progress = workspace, journal, progress
        self._exit_code = 0

    def run(self, target: Run) -> RunReport:
        started_at, clock = datetime.now(UTC), time.monotonic()
        mine = replace(
            target,
            run_id=new_run_id(),
            command="rollback",
            reverts=target.run_id,
            status="running",
            started_at=started_at,
            host=socket.gethostname(),
            client_pid=os.getpid(),
        )
        self._journal.begin(mine)
        rows: list[StepReport] = []
        status: RunStatus = "failed"
        try:
            self._take_back_each(target, rows)
            status = self._status(rows)
        finally:
            # Whatever passes: only a rollback that came to its end may say that the run is taken back.
            self._journal.end(mine.run_id, status)
        if status == "applied":
            self._journal.end(target.run_id, "rolled_back")
        return RunReport(
            command="rollback",
            playbook=target.playbook,
            target=self._workspace.target,
            started_at=started_at,
            duration_s=time.monotonic() - clock,
            steps=tuple(rows),
            run_id=mine.run_id,
            playbook_hash=target.playbook_hash,
            exit_code=self._exit_code,
            interrupted=self._exit_code == INTERRUPTED_EXIT,
        )

    def _take_back_each(self, target: Run, rows: list[StepReport]) -> None:
        """Every step, the last one first; one that fails does not keep the others."""
        try:
            # Twice the same step is possible: a resumed run tried it again.
            for step in reversed(self._journal.steps(target.run_id)):
                self._progress(f"taking back {step.name}")
                rows.append(self._take_back(step))
                if self._exit_code == INTERRUPTED_EXIT:
                    break
        except KeyboardInterrupt:
            self._exit_code = INTERRUPTED_EXIT

    def _status(self, rows: list[StepReport]) -> RunStatus:
        if self._exit_code == INTERRUPTED_EXIT:
            return "interrupted"
        return "failed" if self._exit_code != 0 or any(row.status == "failed" for row in rows) else "applied"

    def _take_back(self, step: JournalStep) -> StepReport:
        clock = time.monotonic()
        settled = _Outcome("nothing_to_do", "it was taken back before")
        outcome = settled if step.status in SETTLED else self._undo(step)
        if outcome.status != "failed":
            self._journal.conclude(step, outcome.status)
        return StepReport(
            id=step.step_id,
            kind=step.kind,
            name=step.name,
            status=outcome.status,
            sql=self._workspace.statements(step.undo) if outcome.status == "reverted" else (),
            before=step.after,
            after=step.before,
            duration_s=time.monotonic() - clock,
            reason=outcome.reason,
            error=outcome.error.message if outcome.error else None,
            hint=outcome.error.hint if outcome.error else None,
        )

    def _undo(self, step: JournalStep) -> _Outcome:
        if not step.undo and any(isinstance(action, RunSql) for action in step.actions):
            return _Outcome("kept", "the step has no rollback")
        if self._journal.commits_with_the_change and _never_committed(step):
            return _Outcome("nothing_to_do", "its transaction was never committed")
        kept, done = [], False
        try:
            for action in step.undo:
                guard = self._judge(action)
                if guard.kept:
                    kept.append(guard.kept)
                if guard.proceed:
                    take_back(self._workspace, action, self._progress)
                    done = True
        except KeyboardInterrupt:
            self._exit_code = INTERRUPTED_EXIT
            return _Outcome("failed", error=DbtuneError("interrupted", hint="run the rollback again"))
        except DbtuneError as error:
            self._exit_code = FAILED_EXIT
            return _Outcome("failed", error=error)
        if kept:
            return _Outcome("kept", "; ".join(kept))
        return _Outcome("reverted") if done else _Outcome("nothing_to_do")

    def _judge(self, action: Action) -> undo.Guard:
        if isinstance(action, ForgetKeys) and self._workspace.redis_client is None:
            return undo.Guard(proceed=False, kept="no Redis is named (--redis): the keys stay until they expire")
        if isinstance(action, SetRedisSetting) and self._workspace.redis_client is None:
            return undo.Guard(proceed=False, kept=f"no Redis is named (--redis): {action.name} stays as it is")
        facts = self._workspace.learn([action], _ask, fresh=True)
        return undo.judge(action, facts)


def find_run(journal: Journal | None, run_id: str) -> Run:
    """The run of that id, or with `last` the newest apply that is not rolled back yet.

    Raises Misused when there is none, or when it is itself a rollback.
    """
    runs = journal.runs(most=10_000) if journal else ()
    if run_id == LAST:
        candidates = [run for run in runs if run.command == "apply" and run.status not in ("rolled_back", "unchanged")]
        if not candidates:
            raise Misused("the journal knows of no run that could be rolled back", hint="see `dbtune history`")
        return candidates[0]
    found = next((run for run in runs if run.run_id == run_id), None)
    if found is None:
        hint = did_you_mean(run_id, [run.run_id for run in runs]) or "see `dbtune history`"
        raise Misused(f'the journal knows of no run "{run_id}"', hint=hint)
    if found.command == "rollback":
        raise Misused(f"{run_id} is itself a rollback, of {found.reverts}", hint="apply the playbook again instead")
    return found


def _never_committed(step: JournalStep) -> bool:
    """A transactional change is called applied by its own commit: without that word it was not made."""
    in_transaction = all(isinstance(action, RunSql) and action.in_transaction for action in step.actions)
    unguarded = all(isinstance(action, RunSql) and action.only_if is None for action in step.undo)
    return bool(step.undo) and in_transaction and unguarded and step.status in ("intended", "failed")


def _ask(action: Action, facts: Facts) -> Iterable[Question]:
    return undo.questions(action, facts)
