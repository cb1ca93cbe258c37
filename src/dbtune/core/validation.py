"""What `dbtune validate` found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbtune.core.errors import Problem


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """One playbook: its name and number of steps when it is valid, else its problems in the order of the file."""

    path: str
    name: str | None = None
    steps: int = 0
    disabled: int = 0
    problems: tuple[Problem, ...] = ()
    hint: str | None = None

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """Durations in seconds; the files in the order in which they were given."""

    started_at: datetime
    duration_s: float
    files: tuple[CheckedFile, ...]

    @property
    def ok(self) -> bool:
        return all(file.ok for file in self.files)
