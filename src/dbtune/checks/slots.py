"""The row that the checks about replication slots share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """One replication slot. `kept_bytes` None: it has kept nothing yet, or has lost what it kept.

    `room_bytes` is what may still be written before the slot is lost, None without a limit (`unbounded`).
    `inactive_s` is known since 17.
    """

    name: str
    kind: str
    active: bool
    temporary: bool
    wal_status: str | None
    kept_bytes: int | None
    room_bytes: int | None
    inactive_s: float | None
    xmin_age: int | None
    max_wal_bytes: int
    unbounded: bool

    @property
    def drop(self) -> str:
        literal = self.name.replace("'", "''")
        return f"select pg_drop_replication_slot('{literal}');"
