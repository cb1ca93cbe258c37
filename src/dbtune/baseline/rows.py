"""Counters as the servers keep them, one value per row of a view. Times of pg_stat_* are milliseconds (`_ms`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    """pg_stat_database for this database."""

    xact_commit: int
    xact_rollback: int
    blks_read: int
    blks_hit: int
    tup_returned: int
    tup_fetched: int
    tup_inserted: int
    tup_updated: int
    tup_deleted: int
    temp_files: int
    temp_bytes: int
    deadlocks: int
    blk_read_ms: float
    blk_write_ms: float
    stats_reset: datetime | None


@dataclass(frozen=True, slots=True)
class TableRow:
    """pg_stat_user_tables with pg_statio_user_tables. `size_bytes`: the heap as the last VACUUM or ANALYZE saw it."""

    relid: int
    schema: str
    name: str
    seq_scan: int = 0
    seq_tup_read: int = 0
    idx_scan: int = 0
    idx_tup_fetch: int = 0
    n_tup_ins: int = 0
    n_tup_upd: int = 0
    n_tup_del: int = 0
    n_tup_hot_upd: int = 0
    n_live_tup: int = 0
    n_dead_tup: int = 0
    size_bytes: int | None = None
    heap_blks_read: int = 0
    heap_blks_hit: int = 0
    idx_blks_read: int = 0
    idx_blks_hit: int = 0


@dataclass(frozen=True, slots=True)
class IndexRow:
    """pg_stat_user_indexes with pg_statio_user_indexes. `size_bytes` is the catalog's, which needs no lock."""

    indexrelid: int
    schema: str
    table: str
    name: str
    idx_scan: int = 0
    idx_tup_read: int = 0
    idx_tup_fetch: int = 0
    idx_blks_read: int = 0
    idx_blks_hit: int = 0
    size_bytes: int | None = None
    valid: bool = True


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """The whole server: checkpoints (rule 15) and WAL; None where this version does not count it.

    `stats_reset` is that of the WAL's counters, `checkpoints_reset` that of the checkpoints'.
    """

    checkpoints_timed: int | None
    checkpoints_requested: int | None
    wal_records: int | None
    wal_bytes: int | None
    wal_fpi: int | None = None
    wal_buffers_full: int | None = None
    checkpoint_write_ms: float | None = None
    checkpoint_sync_ms: float | None = None
    checkpoint_buffers: int | None = None
    stats_reset: datetime | None = None
    checkpoints_reset: datetime | None = None


@dataclass(frozen=True, slots=True)
class IoRow:
    """One row of pg_stat_io (16 and newer): who read and wrote what, in bytes. Times are zero with timing off."""

    backend_type: str
    object: str
    context: str
    reads: int = 0
    read_bytes: int = 0
    read_ms: float = 0.0
    writes: int = 0
    write_bytes: int = 0
    write_ms: float = 0.0
    extends: int = 0
    hits: int = 0
    evictions: int = 0
    stats_reset: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionsRow:
    """Counted at this moment: client sessions of this database by state, and what waits for a lock."""

    active: int
    idle: int
    idle_in_transaction: int
    waiting_for_lock: int
    locks_held: int
    max_connections: int


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command of Redis's INFO commandstats: calls, their time in seconds, and those that failed."""

    calls: int
    time_s: float
    failed: int = 0
