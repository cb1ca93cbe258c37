"""What one capture holds: a fingerprint of the server, snapshots of its counters, plans and timings.

K + 1 snapshots make K sub-windows. Counters are stored as the server gave them, never as differences, so that a
later dbtune can subtract them again. Times of pg_stat_* are milliseconds there and here (`_ms`); timings are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from dbtune.baseline.load_result import LoadResult
from dbtune.baseline.rows import CommandRow, DatabaseRow, IndexRow, InstanceRow, IoRow, SessionsRow, TableRow

SCHEMA: Final = "dbtune.baseline/1"
OWN_MARK = "/* dbtune */"
"""Stands before and after each of dbtune's own statements: PostgreSQL 18 drops a leading comment from the text."""

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What must be alike for two captures to be comparable (rule 12), and what explains a difference.

    `server_version` is server_version_num; `settings` the values in force, in the server's spelling.
    """

    server_version: int
    database: str
    database_oid: int
    system_identifier: str | None
    postmaster_started_at: datetime
    database_size_bytes: int | None
    extension_version: str | None
    settings: Mapping[str, str]
    redis: str | None = None


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One row of pg_stat_statements. None: this version of the extension has no such column (rule 2)."""

    userid: int
    dbid: int
    queryid: str
    toplevel: bool | None = None
    calls: int = 0
    rows: int = 0
    exec_ms: float = 0.0
    exec_stddev_ms: float = 0.0
    exec_min_ms: float = 0.0
    exec_max_ms: float = 0.0
    plans: int = 0
    plan_ms: float = 0.0
    shared_hit: int = 0
    shared_read: int = 0
    shared_dirtied: int = 0
    shared_written: int = 0
    local_hit: int = 0
    local_read: int = 0
    temp_read: int = 0
    temp_written: int = 0
    read_ms: float = 0.0
    write_ms: float = 0.0
    wal_records: int = 0
    wal_bytes: int = 0
    stats_since: datetime | None = None

    @property
    def key(self) -> StatementKey:
        return StatementKey(self.userid, self.dbid, self.queryid, self.toplevel)


@dataclass(frozen=True, slots=True)
class StatementKey:
    """Rule 1: one user's statement in one database, top-level and nested calls apart. `toplevel` None: before 14."""

    userid: int
    dbid: int
    queryid: str
    toplevel: bool | None


@dataclass(frozen=True, slots=True)
class Statements:
    """pg_stat_statements at one moment: the rows of this database, and what tells resets and evictions (rule 4).

    `entries` counts all databases. `dealloc` and `stats_reset` are None before extension 1.9.
    `hidden_*`: rows of other users whose text and queryid this role may not see (rule 13).
    """

    rows: tuple[StatementRow, ...]
    entries: int
    entries_max: int | None = None
    dealloc: int | None = None
    stats_reset: datetime | None = None
    hidden_calls: int = 0
    hidden_exec_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one moment. `offset_s` comes from a monotonic clock; None: could not be looked at.

    `catalog_offset_s`: when tables and indexes were read, where that was at another moment.
    """

    at: datetime
    offset_s: float
    statements: Statements | None = None
    database: DatabaseRow | None = None
    tables: tuple[TableRow, ...] = ()
    indexes: tuple[IndexRow, ...] = ()
    instance: InstanceRow | None = None
    redis: Mapping[str, float] | None = None
    redis_run_id: str | None = None
    io: tuple[IoRow, ...] = ()
    sessions: SessionsRow | None = None
    redis_commands: Mapping[str, CommandRow] = field(default_factory=dict)
    catalog_offset_s: float | None = None

    @property
    def tables_at_s(self) -> float:
        return self.offset_s if self.catalog_offset_s is None else self.catalog_offset_s


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """The plan of a statement, as EXPLAIN (FORMAT JSON) gives it: the object with "Plan".

    `queryid` is set where it is one of pg_stat_statements': then the plan is the generic one.
    """

    name: str
    sql: str
    plan: Mapping[str, Any]
    queryid: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A step that dbtune had applied when the capture was made, as its journal has it.

    `objects` are the indexes, settings and tables that it made or changed, by name.
    """

    run_id: str
    playbook: str
    step: str
    kind: str
    ended_at: datetime
    objects: tuple[str, ...] = ()
    sql: tuple[str, ...] = ()
    size_bytes: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Latencies in seconds, in the order of their blocks; within one block calls are not independent replicates.

    `engine` says what measured them: there is no verdict across engines.
    """

    name: str
    blocks: tuple[tuple[float, ...], ...]
    engine: str
    errors: int = 0

    @property
    def values_s(self) -> tuple[float, ...]:
        return tuple(value for block in self.blocks for value in block)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number measured once per block. `unit` "share" is a fraction; `exact` ones are counts that need no test."""

    name: str
    unit: str
    better: Better
    blocks: tuple[float, ...]
    engine: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be looked at, why, and how to get it."""

    check: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """The document `dbtune.baseline/1`. `texts` maps queryid to its text (None where the server has lost it)."""

    schema: Literal["dbtune.baseline/1"]
    dbtune: str
    name: str
    target: str
    started_at: datetime
    duration_s: float
    fingerprint: Fingerprint
    snapshots: tuple[Snapshot, ...] = ()
    texts: Mapping[str, str | None] = field(default_factory=dict)
    users: Mapping[int, str] = field(default_factory=dict)
    plans: tuple[NamedPlan, ...] = ()
    timings: tuple[Timing, ...] = ()
    figures: tuple[Figure, ...] = ()
    loads: tuple[LoadResult, ...] = ()
    changes: tuple[Change, ...] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)
    """How each index is defined, by `schema.name`."""
    skipped: tuple[Skipped, ...] = ()
    imported: str | None = None
    """The tool whose file this was read from: it says nothing of a server then."""

    @property
    def windows(self) -> int:
        return max(len(self.snapshots) - 1, 0)
