"""The row that the checks about memory share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """`database_bytes` is this database's size by relpages, as of the last VACUUM or ANALYZE."""

    shared_buffers_bytes: int
    cache_bytes: int
    database_bytes: int
    max_wal_bytes: int
