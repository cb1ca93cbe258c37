"""What a capture holds beside the counters of statements and tables: I/O, sessions, definitions of indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from dbtune.baseline.capture import Skipped
from dbtune.baseline.rows import IoRow, SessionsRow
from dbtune.core.errors import ChangeFailed, Refused
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import Connection

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    definition: str


class Surroundings:
    """Reads them again and again; `skipped` says once what this role may not see."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._skipped: dict[str, Skipped] = {}

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return tuple(self._skipped.values())

    def io(self) -> tuple[IoRow, ...]:
        """Empty before 16."""
        return self._rows("I/O", "baseline_io", IoRow)

    def sessions(self) -> SessionsRow | None:
        found = self._rows("sessions", "baseline_sessions", SessionsRow)
        return found[0] if found else None

    def definitions(self) -> Mapping[str, str]:
        """Of the indexes of user tables, by `schema.name`."""
        found = self._rows("definitions of indexes", "baseline_definitions", _Definition)
        return {row.name: row.definition for row in found}

    def _rows(self, check: str, query: str, row: type[Row]) -> tuple[Row, ...]:
        if check in self._skipped:
            return ()
        try:
            return fetch(self._connection, query, row)
        except (Refused, ChangeFailed) as error:
            self._skipped[check] = Skipped(check, error.message, error.hint or "grant pg_monitor to this role")
            return ()
