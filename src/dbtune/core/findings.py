"""What an audit found, and what it could not look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
Confidence = Literal["measured", "simulated", "heuristic"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Fix:
    """`sql` a person may run; `step` the same as a step of a playbook (`{"index": {...}}`), where a kind of step fits.

    `safe` fixes go into the playbook that `audit --fix-playbook` writes; the others want a person's judgement. `then`
    are steps without which `step` would be half of it.
    """

    sql: tuple[str, ...] = ()
    step: Mapping[str, Any] | None = None
    safe: bool = False
    then: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One flaw. `object` names what it is about as a person would (`public.users.users_email_idx`).

    `evidence` holds the numbers that the message rests on, units in their names. 64-bit ids are strings.
    """

    code: str
    name: str
    severity: Severity
    object: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fix: Fix | None = None
    confidence: Confidence = "measured"


@dataclass(frozen=True, slots=True)
class Unexamined:
    """What could not be looked at, why, and how it can be. Never silence."""

    check: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Findings, the worst first; `examined` are the codes of the checks that looked.

    `notes` say what the audit itself left behind in the servers' counters.
    """

    target: str
    started_at: datetime
    duration_s: float
    findings: tuple[Finding, ...]
    skipped: tuple[Unexamined, ...]
    examined: tuple[str, ...]
    accepted: int = 0
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> dict[str, int]:
        """How many findings of each severity, how many checks looked and how many could not."""
        counts: dict[str, int] = {
            severity: sum(found.severity == severity for found in self.findings) for severity in SEVERITIES
        }
        return {**counts, "examined": len(self.examined), "skipped": len(self.skipped), "accepted": self.accepted}
