"""Counters for a capture. Nothing is ever reset: other collectors depend on the same counters (rule 6)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbtune.baseline.capture import Fingerprint, Skipped, StatementRow, Statements
from dbtune.baseline.rows import DatabaseRow, IndexRow, InstanceRow, TableRow
from dbtune.core.errors import ChangeFailed, Refused
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.queries import as_row, fetch
from dbtune.servers.postgres.session import Connection

Answer = TypeVar("Answer")

# field of StatementRow: the names that the column has had, the newest first (rule 2), and its type.
_COLUMNS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "toplevel": (("toplevel",), "boolean"),
    "calls": (("calls",), "bigint"),
    "rows": (("rows",), "bigint"),
    "exec_ms": (("total_exec_time", "total_time"), "double precision"),
    "exec_stddev_ms": (("stddev_exec_time", "stddev_time"), "double precision"),
    "exec_min_ms": (("min_exec_time", "min_time"), "double precision"),
    "exec_max_ms": (("max_exec_time", "max_time"), "double precision"),
    "plans": (("plans",), "bigint"),
    "plan_ms": (("total_plan_time",), "double precision"),
    "shared_hit": (("shared_blks_hit",), "bigint"),
    "shared_read": (("shared_blks_read",), "bigint"),
    "shared_dirtied": (("shared_blks_dirtied",), "bigint"),
    "shared_written": (("shared_blks_written",), "bigint"),
    "local_hit": (("local_blks_hit",), "bigint"),
    "local_read": (("local_blks_read",), "bigint"),
    "temp_read": (("temp_blks_read",), "bigint"),
    "temp_written": (("temp_blks_written",), "bigint"),
    "read_ms": (("shared_blk_read_time", "blk_read_time"), "double precision"),
    "write_ms": (("shared_blk_write_time", "blk_write_time"), "double precision"),
    "wal_records": (("wal_records",), "bigint"),
    "wal_bytes": (("wal_bytes",), "bigint"),
    "stats_since": (("stats_since",), "timestamptz"),
}
_NULLABLE = ("toplevel", "stats_since")

_CREATE_HINT = (
    "set shared_preload_libraries = 'pg_stat_statements', restart, then `create extension pg_stat_statements`"
)


@dataclass(frozen=True, slots=True)
class Extension:
    """pg_stat_statements as installed: `version` is the extension's, `columns` those of its view."""

    version: str
    schema: str
    columns: list[str]
    has_info: bool


@dataclass(frozen=True, slots=True)
class _Server:
    database_oid: int
    database: str
    postmaster_started_at: datetime


@dataclass(frozen=True, slots=True)
class _Size:
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Identity:
    system_identifier: str


@dataclass(frozen=True, slots=True)
class _Setting:
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class _Info:
    """Of all databases: `entries`. Of this one: what other users did that this role may not see."""

    entries: int
    hidden_calls: int
    hidden_ms: float
    dealloc: int | None
    stats_reset: datetime | None


@dataclass(frozen=True, slots=True)
class _User:
    oid: int
    name: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """Functions that JIT made of a statement, and the milliseconds that it took, over all calls."""

    functions: int
    ms: float


@dataclass(frozen=True, slots=True)
class Pieces:
    """The counters of one moment; None where a piece could not be read."""

    statements: Statements | None
    database: DatabaseRow | None
    instance: InstanceRow | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The counters of tables and indexes: tens of thousands of rows in a large database."""

    tables: tuple[TableRow, ...]
    indexes: tuple[IndexRow, ...]


class Counters:
    """Reads the counters of one database again and again. `skipped` collects what could not be read, once each.

    Of statements only `columns` are read, fields of StatementRow; the others keep their defaults. Thousands of rows
    are quicker to read when they are narrow.
    """

    def __init__(self, connection: Connection, columns: Collection[str] = tuple(_COLUMNS)) -> None:
        self._connection = connection
        self._columns = [name for name in _COLUMNS if name in columns]
        self._skipped: dict[str, Skipped] = {}
        found = fetch(connection, "baseline_extension", Extension)
        self._extension = found[0] if found else None
        self._server = fetch(connection, "baseline_server", _Server)[0]
        if self._extension is None:
            self._skip("statements", "the extension pg_stat_statements is not created in this database", _CREATE_HINT)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return tuple(self._skipped.values())

    def fingerprint(self, redis: str | None) -> Fingerprint:
        identity = self._try("identity", lambda: fetch(self._connection, "baseline_identity", _Identity))
        settings = {row.name: row.value for row in fetch(self._connection, "baseline_settings", _Setting)}
        return Fingerprint(
            server_version=self._connection.info.server_version,
            database=self._server.database,
            database_oid=self._server.database_oid,
            system_identifier=identity[0].system_identifier if identity else None,
            postmaster_started_at=self._server.postmaster_started_at,
            database_size_bytes=fetch(self._connection, "baseline_size", _Size)[0].size_bytes,
            extension_version=self._extension.version if self._extension else None,
            settings={name: value for name, value in settings.items() if value is not None},
            redis=redis,
        )

    def database(self) -> DatabaseRow | None:
        found = self._try("database", lambda: fetch(self._connection, "baseline_database", DatabaseRow))
        return found[0] if found else None

    def read(self) -> Pieces:
        """What is read at every moment, in four statements."""
        connection = self._connection
        instance = self._try("checkpoints", lambda: fetch(connection, "baseline_instance", InstanceRow))
        return Pieces(
            statements=self.statements(), database=self.database(), instance=instance[0] if instance else None
        )

    def catalog(self) -> Catalog:
        """Every table and every index, in two statements."""
        connection = self._connection
        return Catalog(
            tables=self._try("tables", lambda: fetch(connection, "baseline_tables", TableRow)) or (),
            indexes=self._try("indexes", lambda: fetch(connection, "baseline_indexes", IndexRow)) or (),
        )

    def statements(self) -> Statements | None:
        """pg_stat_statements alone; None, and why in `skipped`, where it cannot be read."""
        return self._try("statements", self._statements) if self._extension else None

    def texts(self) -> Mapping[str, str | None]:
        """Texts of this database's statements by queryid. They lie in a file: read once, after the last snapshot."""
        extension = self._extension
        if extension is None or "statements" in self._skipped:
            return {}
        query = sql.SQL(
            "/* dbtune */ select queryid::text, query from {} where dbid = %s and queryid is not null /* dbtune */"
        ).format(sql.Identifier(extension.schema, "pg_stat_statements"))
        with translated("reading the texts of statements"):
            rows = self._connection.execute(query, (self._server.database_oid,)).fetchall()
        return {str(queryid): str(text) if text is not None else None for queryid, text in rows}

    def compiled(self) -> Mapping[tuple[str, bool], Compiled] | None:
        """What JIT did for this database's statements, by queryid and whether at top level.

        Only those it did something for. None: not counted before extension 1.10, or not readable.
        """
        extension = self._extension
        if extension is None or "statements" in self._skipped or "jit_functions" not in extension.columns:
            return None
        query = sql.SQL(
            "/* dbtune */ select queryid::text, toplevel, sum(jit_functions)::bigint, sum(jit_generation_time"
            " + jit_inlining_time + jit_optimization_time + jit_emission_time)::float8"
            " from {}(false) where dbid = {} and queryid is not null and jit_functions > 0 group by 1, 2 /* dbtune */"
        ).format(sql.Identifier(extension.schema, "pg_stat_statements"), sql.Literal(self._server.database_oid))
        with translated("reading what JIT compiled"), self._connection.cursor(row_factory=tuple_row) as cursor:
            rows = cursor.execute(query).fetchall()
        return {(queryid, toplevel): Compiled(functions, ms) for queryid, toplevel, functions, ms in rows}

    def users(self, ids: Iterable[int]) -> Mapping[int, str]:
        wanted = set(ids)
        return {row.oid: row.name for row in fetch(self._connection, "baseline_users", _User) if row.oid in wanted}

    def _statements(self) -> Statements:
        extension = self._extension
        if extension is None:
            raise AssertionError("only asked where the extension is")
        with translated("reading pg_stat_statements"):
            rows = self._rows(extension)
            info = self._info(extension)
            maximum = self._connection.execute(
                "/* dbtune */ select current_setting('pg_stat_statements.max', true)::bigint /* dbtune */"
            ).fetchone()
        return Statements(
            rows=rows,
            entries=info.entries,
            entries_max=int(str(maximum[0])) if maximum and maximum[0] is not None else None,
            dealloc=info.dealloc,
            stats_reset=info.stats_reset,
            hidden_calls=info.hidden_calls,
            hidden_exec_ms=info.hidden_ms,
        )

    def _rows(self, extension: Extension) -> tuple[StatementRow, ...]:
        """The rows of this database, without texts."""
        listed = sql.SQL(
            "/* dbtune */ select userid::bigint, dbid::bigint, queryid::text, {} from {}(false)"
            " where dbid = {} and queryid is not null /* dbtune */"
        ).format(
            sql.SQL(", ").join(_column(name, extension.columns) for name in self._columns),
            sql.Identifier(extension.schema, "pg_stat_statements"),
            sql.Literal(self._server.database_oid),
        )
        with self._connection.cursor(row_factory=as_row(StatementRow)) as cursor:
            return tuple(cursor.execute(listed).fetchall())

    def _info(self, extension: Extension) -> _Info:
        """Entries of all databases; calls and time of those of this one that this role may not see; since extension
        1.9 the evictions and the last reset (rule 4).
        """
        query = sql.SQL(
            "/* dbtune */ select count(*) as entries, coalesce(sum(calls) filter (where {0}), 0)::bigint as"
            " hidden_calls, coalesce(sum({1}) filter (where {0}), 0)::float8 as hidden_ms, {2} from {3}(false)"
            " /* dbtune */"
        ).format(
            sql.SQL("dbid = {} and queryid is null").format(sql.Literal(self._server.database_oid)),
            _named("exec_ms", extension.columns),
            sql.SQL("(select dealloc from {0}) as dealloc, (select stats_reset from {0}) as stats_reset").format(
                sql.Identifier(extension.schema, "pg_stat_statements_info")
            )
            if extension.has_info
            else sql.SQL("null::bigint as dealloc, null::timestamptz as stats_reset"),
            sql.Identifier(extension.schema, "pg_stat_statements"),
        )
        with self._connection.cursor(row_factory=as_row(_Info)) as cursor:
            return cursor.execute(query).fetchall()[0]

    def _try(self, check: str, read: Callable[[], Answer]) -> Answer | None:
        """None, and a note, where this role or this server does not allow it. A lost connection is still an error."""
        if check in self._skipped:
            return None
        try:
            return read()
        except Refused as refused:
            self._skip(check, refused.message, refused.hint or "grant pg_monitor to this role")
        except ChangeFailed as failed:
            cause = failed.__cause__
            preload = isinstance(cause, errors.ObjectNotInPrerequisiteState)
            self._skip(check, failed.message, _CREATE_HINT if preload else failed.hint)
        return None

    def _skip(self, check: str, reason: str, hint: str | None) -> None:
        self._skipped.setdefault(check, Skipped(check, reason, hint))


def _column(name: str, present: list[str]) -> sql.Composed:
    """`newest_name_present::type as name`; where the extension has none, NULL, or 0 for what is always a number."""
    candidates, kind = _COLUMNS[name]
    found = next((candidate for candidate in candidates if candidate in present), None)
    if found is not None:
        return sql.SQL("{}::{} as {}").format(sql.Identifier(found), sql.SQL(kind), sql.Identifier(name))
    missing = sql.SQL("null") if name in _NULLABLE else sql.SQL("0")
    return sql.SQL("{}::{} as {}").format(missing, sql.SQL(kind), sql.Identifier(name))


def _named(name: str, present: list[str]) -> sql.Identifier:
    candidates, _ = _COLUMNS[name]
    return sql.Identifier(next(candidate for candidate in candidates if candidate in present))
