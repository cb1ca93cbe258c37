"""Every error that dbtune raises on purpose.

DbtuneError                     70  our bug, when nothing narrower fits
├── AnswerIsNo                   1  findings, a failed verification or gate, a regression
├── Misused                      2  the command line makes no sense
│   └── InvalidPlaybook          2  with all of its problems at once
├── TargetError                  3
│   ├── Unreachable              3  nobody answers there
│   ├── Unsupported              3  it answers, but cannot do this (a replica, a version, a missing extra)
│   └── Refused                  3  it answers and says no (password, privilege)
├── ChangeFailed                 4  a change failed, or failed in part
├── Busy                         5  another run holds the lock
└── Interrupted                130  a person or a signal stopped us
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class DbtuneError(Exception):
    """Says what failed, on what (`message`), and what to do about it (`hint`)."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AnswerIsNo(DbtuneError):
    exit_code = 1


class Misused(DbtuneError):
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file that a person wrote; line and column count from 1."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message}"


class InvalidPlaybook(Misused):
    """Carries every problem found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = problems


class TargetError(DbtuneError):
    exit_code = 3


class Unreachable(TargetError): ...


class Unsupported(TargetError): ...


class Refused(TargetError): ...


class ChangeFailed(DbtuneError):
    exit_code = 4


class Busy(DbtuneError):
    exit_code = 5


class Interrupted(DbtuneError):
    exit_code = 130
