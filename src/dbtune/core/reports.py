"""Finished reports: what a command found or did. Renderers read these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from dbtune import __version__

StepStatus = Literal[
    # plan
    "in_sync",
    "change",
    "conflict",
    "blocked",
    # apply
    "unchanged",
    "applied",
    "failed",
    "skipped",
    "not_run",
    # verify
    "ok",
    # rollback
    "reverted",
    "nothing_to_do",
    "kept",
]


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of plan, apply, verify or rollback. `sql` is what was or would be executed, passwords masked."""

    id: str
    kind: str
    name: str
    status: StepStatus
    sql: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    error: str | None = None
    hint: str | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    lock: str | None = None
    size_bytes: int | None = None
    restart: bool = False
    blockers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """The outcome of plan, apply, verify or rollback over a playbook.

    `command` is the one that made it; `run_id` is None for plan and verify, which leave no trace.
    """

    command: Literal["plan", "apply", "verify", "rollback"]
    playbook: str
    target: str
    started_at: datetime
    duration_s: float
    steps: tuple[StepReport, ...]
    run_id: str | None = None
    playbook_hash: str | None = None
    exit_code: int = 0
    """What the process should return: 0, or the code of the worst that happened (design: exit codes)."""
    interrupted: bool = False

    @property
    def summary(self) -> dict[str, int]:
        """How many steps ended in each status."""
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.status] = counts.get(step.status, 0) + 1
        return counts


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run in the journal. `ended_at` is None while it runs and after it was killed; `steps` is how many it had."""

    run_id: str
    playbook: str
    command: Literal["apply", "rollback"]
    status: str
    started_at: datetime
    ended_at: datetime | None
    user: str
    steps: int


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """The journal of one database, newest run first."""

    target: str
    started_at: datetime
    duration_s: float
    runs: tuple[RunEntry, ...]


def envelope(schema: str, target: str, started_at: datetime, duration_s: float) -> dict[str, Any]:
    """The five keys that every JSON document begins with. `schema` is the name with its version, `dbtune.plan/1`."""
    return {
        "schema": schema,
        "dbtune": __version__,
        "target": target,
        "started_at": started_at.isoformat(),
        "duration_s": round(duration_s, 6),
    }
