"""The row that the checks about sessions share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dbtune.core.findings import Unexamined

LONGEST_QUERY = 200


@dataclass(frozen=True, slots=True)
class Session:
    """One client's session, in any database of the server. Ages in seconds, None where hidden or not in that state."""

    pid: int
    database: str
    role: str
    application: str
    state: str | None
    age_s: float | None
    transaction_age_s: float | None
    state_age_s: float | None
    query: str

    @property
    def is_hidden(self) -> bool:
        """A role without pg_read_all_stats does not see what the sessions of others do."""
        return self.state is None and self.age_s is None

    @property
    def subject(self) -> str:
        """`pid 4711 (web@shop)`."""
        return f"pid {self.pid} ({self.role}@{self.database})"

    @property
    def evidence(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "role": self.role,
            "database": self.database,
            "application": self.application,
            "state": self.state,
            "query": self.query[:LONGEST_QUERY],
        }


def hidden(code: str, rows: Sequence[Session], user: str) -> Iterable[Unexamined]:
    """What the check could not see; nothing when it saw all."""
    if unseen := sum(row.is_hidden for row in rows):
        yield Unexamined(
            code,
            f"what {unseen} of {len(rows)} other sessions do is hidden from {user}",
            "grant pg_monitor (or pg_read_all_stats) to this role",
        )


def end_session(pid: int) -> str:
    """The statement that ends it, for a person to judge."""
    return f"select pg_terminate_backend({pid});"
