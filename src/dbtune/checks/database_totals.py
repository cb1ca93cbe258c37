"""The row that the checks about the database's own counters share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatabaseTotals:
    """pg_stat_database since its statistics began, `age_s` ago. `sessions`, `session_s` are None before 14."""

    commits: int
    rollbacks: int
    blks_hit: int
    blks_read: int
    temp_files: int
    temp_bytes: int
    deadlocks: int
    has_checksums: bool
    checksum_failures: int
    last_checksum_failure: str | None
    sessions: int | None
    session_s: float | None
    age_s: float

    def per_day(self, count: float) -> float:
        """A count's rate; statistics younger than an hour are taken for an hour, lest one event looks like many."""
        return count / max(self.age_s, 3600.0) * 86400.0
