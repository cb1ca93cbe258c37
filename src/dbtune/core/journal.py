"""The journal's rows, and what every journal can do, be it a table in the target or a local file."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from dbtune.core.actions import Action

RunStatus = Literal["running", "applied", "unchanged", "failed", "interrupted", "rolled_back"]
StepState = Literal["intended", "applied", "failed", "reverted", "kept", "nothing_to_do"]


@dataclass(frozen=True, slots=True)
class Run:
    """One apply or rollback. `reverts` names the run that a rollback takes back."""

    run_id: str
    command: str
    playbook: str
    playbook_hash: str | None
    reverts: str | None
    status: str
    started_at: datetime
    ended_at: datetime | None
    role: str
    host: str
    client_pid: int
    steps: int = 0
    """How many changes it meant to make."""

    @property
    def is_unfinished(self) -> bool:
        return self.status in ("running", "interrupted", "failed")


@dataclass(frozen=True, slots=True)
class JournalStep:
    """One change of a run. `undo` takes it back; `place` counts from 0 in the order of the work."""

    run_id: str
    place: int
    step_id: str
    kind: str
    name: str
    fingerprint: str
    actions: tuple[Action, ...]
    undo: tuple[Action, ...]
    sql: tuple[str, ...]
    before: Mapping[str, Any]
    status: str = "intended"
    after: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None


class Journal(Protocol):
    """Every write is durable when the call returns.

    What was called applied stays so when `conclude` is told that it failed: the change was made, what came after it
    was not; `error` says what that was.
    """

    commits_with_the_change: bool
    """Whether a transactional change and its conclusion become true together, so that one proves the other."""

    @property
    def place(self) -> str:
        """Where it lies, in words."""

    def begin(self, run: Run) -> None: ...

    def intend(self, step: JournalStep) -> None: ...

    def conclude(
        self,
        step: JournalStep,
        status: StepState,
        *,
        undo: tuple[Action, ...] | None = None,
        after: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None: ...

    def end(self, run_id: str, status: RunStatus) -> None: ...

    def runs(self, most: int = 100) -> tuple[Run, ...]: ...

    def steps(self, run_id: str) -> tuple[JournalStep, ...]: ...

    def applied(self, fingerprints: Collection[str]) -> frozenset[str]: ...


def new_run_id() -> str:
    """Sorts by time, and two of one second still differ: `20261123-001613-9f3a`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
