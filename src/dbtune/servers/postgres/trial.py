"""Indexes built for a trial, and statements timed with them and without: on a server that may be changed.

"Without" is a transaction that drops some of them, runs the statement, and is rolled back: nothing has to be built
again, and no other privilege is needed than the owner's. An index of a trial says so in its comment, made in the same
transaction: what a killed one leaves behind is known to the next.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from dbtune.core.errors import ChangeFailed
from dbtune.core.identifiers import quote
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.lock import mark_working, only_run
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import UNBOUNDED, Connection, Limits, connect

Name = tuple[str, str]
"""Schema and name of an index, or of a table."""
MARK = "built by dbtune advise --measure, which drops it at its end"
_LEFT = """/* dbtune */ select nspname, relname from pg_description
join pg_class on pg_class.oid = objoid and classoid = 'pg_class'::regclass and objsubid = 0 and relkind in ('i', 'I')
join pg_namespace on pg_namespace.oid = relnamespace where description = %s order by 1, 2"""
_PARTS = """/* dbtune */ select nspname, relname from pg_partition_tree(%s::regclass) part
join pg_class on pg_class.oid = part.relid join pg_namespace on pg_namespace.oid = relnamespace where part.level > 0"""
_SIZE = """/* dbtune */ select (pg_relation_size(%(name)s::regclass) + coalesce((select sum(pg_relation_size(relid))
from pg_partition_tree(%(name)s::regclass) where level > 0), 0))::text"""
_WAIT = "ask again when it has ended"
_CHANGES = frozenset({"ModifyTable", "LockRows"})


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of one execution with all rows fetched; one ended at the limit counts as the limit."""

    seconds: float
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """How a statement would be run: `shape` is equal for equal plans; schema and name of each index in it.

    `changes` says that it writes or locks rows, which no reader may. `tables` are those that it reads.
    """

    shape: str
    indexes: frozenset[Name]
    changes: bool = False
    tables: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True)
class Built:
    """What an index takes on disk, with those of all partitions, and how long it took to build.

    Plans name its table, or the partitions where it `has_parts`.
    """

    size_bytes: int
    build_s: float
    has_parts: bool = False


class Trial:
    """`time` and `planned` read only, whatever the statement is; `build` and `drop` change the server."""

    def __init__(self, reader: Connection, builder: Connection, timeout_s: float) -> None:
        self._reader = reader
        self._builder = builder
        self._wholes: dict[Name, Name] = {}
        self.timeout_s = timeout_s

    def time(self, text: str, without: Collection[Name] = (), *, limit_s: float | None = None) -> Run | None:
        """None where it cannot be run by a reader. `limit_s` ends it sooner than the trial's own limit does."""
        limit_s = min(limit_s or self.timeout_s, self.timeout_s)
        try:
            with self._lacking(without):
                self._reader.execute(
                    "/* dbtune */ select set_config('statement_timeout', %s, true)", (f"{int(limit_s * 1000) + 1}ms",)
                )
                with users_path(self._reader):
                    # What a dropped index has made the session forget is read again before the clock runs.
                    self._reader.cursor(binary=True).execute(f"/* dbtune */ explain {text}".encode())
                    start = time.perf_counter()
                    # Binary forces the extended protocol: one statement, whatever is in the text.
                    self._reader.cursor(binary=True).execute(text.encode())
                    return Run(time.perf_counter() - start)
        except psycopg.errors.QueryCanceled:
            return Run(limit_s, timed_out=True)
        except psycopg.Error as error:
            if self._reader.closed or self._reader.broken or isinstance(error, psycopg.errors.LockNotAvailable):
                with translated("timing a statement of the workload"):
                    raise
            return None

    def planned(self, text: str, without: Collection[Name] = ()) -> Planned | None:
        """None where it cannot be planned."""
        query = f"/* dbtune */ explain (verbose, costs off, format json) {text}"
        try:
            with self._lacking(without), users_path(self._reader):
                row = self._reader.cursor().execute(query.encode()).fetchone()
        except psycopg.Error:
            if self._reader.closed or self._reader.broken:
                with translated("planning a statement of the workload"):
                    raise
            return None
        document: Any = row[0] if row else [{"Plan": {}}]
        plan = document[0]["Plan"]
        nodes = list(_nodes(plan))
        changes = any(node.get("Node Type") in _CHANGES for node, _ in nodes)
        names = ((schema, str(node["Index Name"])) for node, schema in nodes if "Index Name" in node)
        tables = frozenset((schema, str(node["Relation Name"])) for node, schema in nodes if "Relation Name" in node)
        return Planned(str(plan), frozenset(self._wholes.get(name, name) for name in names), changes, tables)

    def build(self, ddl: str, name: Name) -> Built | str:
        """Why it could not be built, in words. Blocks writers of the table meanwhile: the server is disposable.

        Plans name the parts of an index on a partitioned table; `planned` then speaks of the whole.
        """
        try:
            with translated("building an advised index"), self._builder.transaction():
                with users_path(self._builder):
                    start = time.perf_counter()
                    self._builder.execute(f"/* dbtune */ {ddl}".encode())
                    build_s = time.perf_counter() - start
                self._builder.execute(sql.SQL("comment on index {} is {}").format(sql.Identifier(*name), MARK))
                parts = self._builder.execute(_PARTS, (quote(*name),)).fetchall()
                size = self._builder.execute(_SIZE, {"name": quote(*name)}).fetchone()
        except ChangeFailed as failure:
            return failure.message
        self._wholes |= {(str(schema), str(part)): name for schema, part in parts}
        return Built(int(str(size[0])) if size else 0, build_s, bool(parts))

    def drop(self, schema: str, name: str) -> None:
        """What is gone already is no error."""
        with translated(f"dropping the index {name}"):
            self._builder.execute(sql.SQL("drop index if exists {}").format(sql.Identifier(schema, name)))

    @contextlib.contextmanager
    def _lacking(self, names: Collection[Name]) -> Iterator[None]:
        """A transaction that only reads, once it has dropped these indexes; they are there again afterwards."""
        with self._reader.transaction(force_rollback=True):
            if names:
                self._reader.execute("set transaction read write")
                for name in sorted(names):
                    self._reader.execute(sql.SQL("drop index {}").format(sql.Identifier(*name)))
            self._reader.execute("set transaction read only")
            yield


@contextlib.contextmanager
def open_trial(dsn: str, timeout_s: float) -> Iterator[Trial]:
    """Raises Busy while another run changes the database, and what connecting raises."""
    with (
        contextlib.closing(connect(dsn, limits=Limits(work_s=timeout_s))) as reader,
        contextlib.closing(connect(dsn, read_only=False, limits=UNBOUNDED)) as builder,
        only_run(builder, hint=_WAIT),
    ):
        for session in (reader, builder):
            mark_working(session)
        yield Trial(reader, builder, timeout_s)


def clear_trials(dsn: str) -> tuple[Name, ...]:
    """Drops the indexes that a killed trial has left, and names them. Raises Busy while one goes on."""
    with (
        contextlib.closing(connect(dsn, read_only=False, limits=UNBOUNDED)) as session,
        only_run(session, hint=_WAIT),
    ):
        with translated("looking for what a killed trial has left"):
            left = tuple((str(schema), str(name)) for schema, name in session.execute(_LEFT, (MARK,)).fetchall())
        for name in left:
            with translated(f"dropping the index {name[1]} of a killed trial"):
                session.execute(sql.SQL("drop index if exists {}").format(sql.Identifier(*name)))
    return left


def _nodes(plan: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """With their schemas. A bitmap index scan names none: its index lies where the table above it does."""
    waiting = [(plan, "")]
    while waiting:
        one, above = waiting.pop()
        schema = str(one.get("Schema", above))
        yield one, schema
        waiting.extend((child, schema) for child in one.get("Plans", ()))
