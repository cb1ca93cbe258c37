"""What `dbtune warm` did, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

WarmStatus = Literal["warmed", "would_warm", "not_due", "failed", "not_run"]


@dataclass(frozen=True, slots=True)
class WarmedStep:
    """One cache_warm step; in a dry run `keys` is the planner's estimate. `kept`: left alone, as its mode wants it.

    `skipped` counts every row that was not written on purpose, `kept` among them; `resumed` were written before.
    """

    id: str
    name: str
    status: WarmStatus
    keys: int = 0
    bytes: int = 0
    skipped: int = 0
    failed: int = 0
    kept: int = 0
    duplicates: int = 0
    resumed: int = 0
    attempts: int = 0
    duration_s: float = 0.0
    reason: str | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    notes: tuple[str, ...] = ()

    @property
    def keys_per_s(self) -> float:
        return self.keys / self.duration_s if self.duration_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class WarmReport:
    """`circuit` is the breaker's state at the end, `transitions` what it went through, in words."""

    playbook: str
    path: str
    target: str
    started_at: datetime
    duration_s: float
    steps: tuple[WarmedStep, ...]
    dry_run: bool = False
    circuit: str = "closed"
    transitions: tuple[str, ...] = ()
    exit_code: int = 0
    interrupted: bool = False
