"""Concurrent index builds that survive what goes wrong with them.

The statement runs in a thread on a session of its own, without a lock_timeout (which would kill the build while it
merely waits for older snapshots) and without a statement_timeout; this thread watches, names whom the build waits
for, and keeps the time budget. Whatever ends a build early, the invalid index is removed on a fresh session.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import errors

from dbtune.core.actions import CreateIndex, DropIndex, Relation
from dbtune.core.errors import ChangeFailed, DbtuneError
from dbtune.core.progress import Progress
from dbtune.core.units import format_duration
from dbtune.servers.postgres import statements
from dbtune.servers.postgres.errors import server_error, translated
from dbtune.servers.postgres.lock import mark_working
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import UNBOUNDED, Connection, Limits, connect

POLL_S = 0.2
DEADLOCK_RETRIES = 3
DUPLICATES_BUDGET_S = 60.0
CLEAN_UP_BUDGET_S = 60.0
CANCEL_BUDGET_S = 30.0


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """One row of pg_stat_progress_create_index: the pid that builds, and the pid it waits for (None: nobody)."""

    pid: int
    phase: str
    lockers_total: int | None
    lockers_done: int | None
    waits_for: int | None
    blocks_total: int | None
    blocks_done: int | None
    tuples_total: int | None
    tuples_done: int | None
    backend_start: datetime | None

    @property
    def fraction(self) -> float | None:
        for total, done in ((self.blocks_total, self.blocks_done), (self.tuples_total, self.tuples_done)):
            if total:
                return min((done or 0) / total, 1.0)
        return None

    def __str__(self) -> str:
        waiting = f", waiting for backend {self.waits_for}" if self.waits_for else ""
        lockers = f" ({self.lockers_done}/{self.lockers_total})" if self.lockers_total else ""
        return f"{self.phase}{lockers}{waiting}"


@dataclass(frozen=True, slots=True)
class IndexState:
    """What stands under an index's name right now."""

    oid: int
    usable: bool
    table_schema: str
    table_name: str
    definition: str
    size_bytes: int


class Building:
    """One concurrent build: watches, cancels, cleans up. `dsn` opens the further sessions that this takes."""

    def __init__(self, dsn: str, action: CreateIndex, progress: Progress, budget_s: float | None) -> None:
        self._dsn, self._action, self._progress = dsn, action, progress
        self._index = Relation(action.index.table.schema, action.index.name)
        self._give_up_at = None if budget_s is None else time.monotonic() + budget_s

    def run(self) -> DropIndex:
        """Builds and returns what undoes it. Raises ChangeFailed; the invalid index is gone by then, or named."""
        with connect(self._dsn) as watcher:
            if self._attach(watcher):
                return self._undo(watcher)
            self._remove_leftover(watcher)
            self._refuse_duplicates()
            for attempt in range(DEADLOCK_RETRIES + 1):
                if self._build(watcher, last_attempt=attempt == DEADLOCK_RETRIES):
                    break
                time.sleep(random.uniform(0.1, 1.0) * 2**attempt)  # noqa: S311 - jitter, not a secret
            if statements.has_expressions(self._action.index):
                self._analyze()
            return self._undo(watcher)

    def _attach(self, watcher: Connection) -> bool:
        """Watches a build of this index that is under way already: its client died, the server goes on.

        True when that build made the index usable.
        """
        if not self._live(watcher):
            return False
        while row := self._live(watcher):
            self._progress(f"watching backend {row.pid}: {row}", row.fraction)
            self._check_budget(f"backend {row.pid} is still building {self._index}, and was left alone")
            time.sleep(POLL_S)
        state = index_state(watcher, self._index)
        return state is not None and state.usable

    def _live(self, watcher: Connection) -> BuildProgress | None:
        names = {"schema": self._index.schema, "name": self._index.name}
        rows = fetch(watcher, "build_progress", BuildProgress, names)
        return rows[0] if rows else None

    def _remove_leftover(self, watcher: Connection) -> None:
        """An invalid index that the plan found to be of this very definition; anything else is not touched."""
        state = index_state(watcher, self._index)
        if state is None:
            return
        if state.usable or self._action.replaces_invalid_oid != state.oid:
            raise ChangeFailed(
                f"{self._index} appeared since the plan: {state.definition}", hint="plan and apply again"
            )
        drop_concurrently(self._dsn, self._index, self._progress)

    def _refuse_duplicates(self) -> None:
        """A unique build over duplicates fails at its very end; a look beforehand is cheaper and names them."""
        if not self._action.index.unique:
            return
        self._progress("looking for duplicates")
        try:
            with connect(self._dsn, limits=Limits(work_s=DUPLICATES_BUDGET_S)) as session, users_path(session):
                # Binary takes the extended protocol: one statement only.
                rows = session.cursor(binary=True).execute(statements.duplicates(self._action.index)).fetchall()
        except (errors.QueryCanceled, errors.LockNotAvailable, errors.InsufficientPrivilege):
            return  # The build itself will tell.
        except psycopg.Error as error:
            raise server_error(error, f"looking for duplicates in {self._action.index.table}") from error
        if rows:
            samples = ", ".join(f"{row[0]} ({row[1]} times)" for row in rows)
            raise ChangeFailed(
                f"{self._index} cannot be unique: {self._action.index.table} holds {samples}",
                hint="remove the duplicates, or drop `unique`",
            )

    def _build(self, watcher: Connection, *, last_attempt: bool) -> bool:
        """One try. False after a deadlock that is worth another."""
        # Closed, not left as a `with` block: that one would ask for a rollback, and wait for the build to end first.
        with contextlib.closing(connect(self._dsn, read_only=False, limits=UNBOUNDED)) as builder:
            mark_working(builder)
            execution = _Execution(builder, statements.create_index(self._action.index).as_bytes(None))
            try:
                execution.start()
                while execution.is_running(POLL_S):
                    if row := self._live(watcher):
                        self._progress(f"{self._index.name}: {row}{self._whom(watcher, row)}", row.fraction)
                    self._check_budget(f"{self._index} was not built in time")
            except BaseException as reason:
                execution.cancel()
                self._clean_up(reason)
                raise
        error = execution.error
        if error is None:
            return True
        self._clean_up(error)
        if isinstance(error, errors.DeadlockDetected) and not last_attempt:
            self._progress(f"{self._index.name}: deadlock; trying again")
            return False
        raise self._failure(error) from error

    def _whom(self, watcher: Connection, row: BuildProgress) -> str:
        if row.waits_for is None:
            return ""
        with translated("asking whom the build waits for"):
            found = watcher.execute(
                "/* dbtune */ select usename, application_name, state, extract(epoch from now() - xact_start)::float8"
                " from pg_stat_activity where pid = %s",
                (row.waits_for,),
            ).fetchone()
        if found is None:
            return ""
        age = format_duration(float(str(found[3] or 0)))
        return f" ({found[0]}, {found[1] or 'no application name'}, {found[2]}, in a transaction for {age})"

    def _failure(self, error: psycopg.Error) -> DbtuneError:
        if isinstance(error, errors.UniqueViolation):
            return ChangeFailed(
                f"{self._index} cannot be unique: {error.diag.message_detail or error.diag.message_primary}",
                hint="remove the duplicates, or drop `unique`",
            )
        if isinstance(error, errors.DuplicateTable):
            return ChangeFailed(f"{self._index} appeared since the plan", hint="plan and apply again")
        return server_error(error, f"building {self._index}")

    def _check_budget(self, what: str) -> None:
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            raise ChangeFailed(what, hint="give the step a longer timeout, or none; end the transactions it waits for")

    def _clean_up(self, reason: BaseException) -> None:
        """Removes what a failed build left. When that fails as well, both reasons are told."""
        if isinstance(reason, errors.DuplicateTable):
            return  # What stands there is not ours.
        try:
            with connect(self._dsn) as fresh:
                state = index_state(fresh, self._index)
                if state is None or state.usable or self._live(fresh):
                    return
            drop_concurrently(self._dsn, self._index, self._progress, budget_s=CLEAN_UP_BUDGET_S)
        except (DbtuneError, psycopg.Error) as failure:
            command = statements.drop_index(self._index).as_string()
            raise ChangeFailed(
                f"building {self._index} ended ({reason!s:.200}), and what it left could not be removed: {failure}",
                hint=f"the next apply removes them; or run: {command};",
            ) from failure

    def _analyze(self) -> None:
        with (
            connect(self._dsn, read_only=False, limits=Limits(work_s=0, lock_s=5)) as session,
            translated(f"analyzing {self._action.index.table} for its new expression index"),
            users_path(session),
        ):
            session.execute(statements.analyze(self._action.index.table))

    def _undo(self, watcher: Connection) -> DropIndex:
        state = index_state(watcher, self._index)
        if state is None or not state.usable:
            raise ChangeFailed(
                f"{self._index} is not usable after its build", hint="look at the server's log, apply again"
            )
        return DropIndex(self._index, self._action.index.table, oid=state.oid, definition=self._action.index)


class _Execution:
    """A statement that runs in a thread, so that this one can watch it."""

    def __init__(self, session: Connection, statement: bytes) -> None:
        self._session, self._statement = session, statement
        self._thread = threading.Thread(target=self._execute, name="dbtune-build", daemon=True)
        self._begun, self._ended, self._unwanted = threading.Event(), threading.Event(), False
        self.error: psycopg.Error | None = None

    def start(self) -> None:
        self._thread.start()

    def is_running(self, wait_s: float) -> bool:
        return not self._ended.wait(wait_s)

    def cancel(self) -> None:
        """Asks the server to stop, and waits until it did. A server that is gone has stopped.

        An interrupt may come before the thread has sent its statement, when there is nothing to cancel yet: therefore
        it is told as well, and the server is asked more than once.
        """
        self._unwanted = True
        give_up_at = time.monotonic() + CANCEL_BUDGET_S
        while self._begun.wait(POLL_S) and time.monotonic() < give_up_at:
            with contextlib.suppress(psycopg.Error):
                self._session.cancel_safe(timeout=CANCEL_BUDGET_S)
            if self._ended.wait(POLL_S):
                break

    def _execute(self) -> None:
        self._begun.set()
        try:
            # Expressions, operator classes and collations are named as the person finds them.
            with users_path(self._session):
                if not self._unwanted:
                    self._session.execute(b"/* dbtune */ " + self._statement)
        except psycopg.Error as error:
            self.error = error
        finally:
            self._ended.set()


def index_state(session: Connection, index: Relation) -> IndexState | None:
    rows = fetch(session, "index_state", IndexState, {"schema": index.schema, "name": index.name})
    return rows[0] if rows else None


def drop_concurrently(dsn: str, index: Relation, progress: Progress, *, budget_s: float = 0) -> None:
    """Drops without blocking anybody. It waits for older transactions as a build does; `budget_s` 0 is no limit."""
    progress(f"dropping {index}")
    with (
        connect(dsn, read_only=False, limits=Limits(work_s=budget_s, lock_s=0)) as session,
        translated(f"dropping {index}"),
    ):
        mark_working(session)
        session.execute(b"/* dbtune */ " + statements.drop_index(index).as_bytes(None))
