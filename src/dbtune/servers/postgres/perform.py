"""Actions performed. Whether an undo may go ahead is judged before, in `dbtune.steps.undo`."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import sqlparse
from psycopg import errors
from psycopg.pq import TransactionStatus

from dbtune.core.actions import Action, Analyze, CreateIndex, DropIndex, RunSql, SetSetting
from dbtune.core.errors import ChangeFailed
from dbtune.core.progress import Progress
from dbtune.servers.postgres import statements
from dbtune.servers.postgres.build import Building, drop_concurrently
from dbtune.servers.postgres.errors import server_error, translated
from dbtune.servers.postgres.lock import mark_working
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection, Limits, connect

SHORT_LOCK_S = 2.0
"""A short DDL waits no longer for its lock: everybody who comes after it would wait behind it."""
LOCK_RETRIES = 5
RELOAD_S = 10.0


@dataclass(frozen=True, slots=True)
class Performer:
    """Performs actions on one database, each in a session of its own. `budget_s` bounds one action (None: no bound).

    `before_commit` is called with the session of a transactional RunSql just before its COMMIT, so that the journal
    and the change become true together.
    """

    dsn: str
    database: str
    progress: Progress
    budget_s: float | None = None
    before_commit: Callable[[Connection], None] | None = None

    def perform(self, action: Action) -> Action | None:
        """Returns the undo where the change had to be seen for it (an index's OID), else None.

        Raises ChangeFailed, Refused, Unreachable.
        """
        match action:
            case CreateIndex():
                return Building(self.dsn, action, self.progress, self.budget_s).run()
            case DropIndex():
                drop_concurrently(self.dsn, action.index, self.progress, budget_s=self.budget_s or 0)
            case SetSetting():
                self._set(action)
            case Analyze():
                self._analyze(action)
            case RunSql():
                self._run(action)
            case _:
                raise NotImplementedError(f"{action.verb} is not PostgreSQL's")
        return None

    def _session(self, *, lock_s: float) -> Connection:
        session = connect(self.dsn, read_only=False, limits=Limits(work_s=self.budget_s or 0, lock_s=lock_s))
        mark_working(session)
        # From 14 on, and where the server's system can tell: it stops working for a client that was killed.
        with contextlib.suppress(psycopg.Error):
            session.execute("/* dbtune */ set client_connection_check_interval = '1s'")
        return session

    def _set(self, action: SetSetting) -> None:
        with self._session(lock_s=SHORT_LOCK_S) as session, translated(f"setting {action.name}"):
            # The value may name something (default_text_search_config), which the server looks for.
            with users_path(session):
                session.execute(b"/* dbtune */ " + statements.set_setting(action, self.database).as_bytes(session))
            if action.reload:
                self._reload(session)

    def _reload(self, session: Connection) -> None:
        """Returns when this session has read the files again: the postmaster has done so before it."""
        loaded_at = _scalar(session, "select pg_conf_load_time()")
        session.execute("/* dbtune */ select pg_reload_conf()")
        give_up_at = time.monotonic() + RELOAD_S
        while _scalar(session, "select pg_conf_load_time()") == loaded_at:
            if time.monotonic() > give_up_at:
                raise ChangeFailed("the server did not reload its configuration", hint="look at the server's log")
            time.sleep(0.02)

    def _analyze(self, action: Analyze) -> None:
        with self._session(lock_s=0) as session:
            for place, table in enumerate(action.tables):
                self.progress(f"analyzing {table}", place / len(action.tables))
                # Expressions of its indexes are computed.
                with translated(f"analyzing {table}"), users_path(session):
                    session.execute(b"/* dbtune */ " + statements.analyze(table).as_bytes(session))

    def _run(self, action: RunSql) -> None:
        with self._session(lock_s=SHORT_LOCK_S) as session:
            for attempt in range(LOCK_RETRIES + 1):
                try:
                    self._run_once(session, action)
                    break
                except errors.LockNotAvailable as error:
                    if attempt == LOCK_RETRIES:
                        raise ChangeFailed(
                            f"the statement could not get its lock in {LOCK_RETRIES + 1} tries of {SHORT_LOCK_S:.0f} s",
                            hint="somebody holds a lock on the table: see pg_blocking_pids(); try at a quieter time",
                        ) from error
                    self.progress("somebody holds the lock; trying again")
                    time.sleep(random.uniform(0.5, 1.0) * 2**attempt / 4)  # noqa: S311 - jitter, not a secret

    def _run_once(self, session: Connection, action: RunSql) -> None:
        with _translated_but_for_locks("running the step's SQL"):
            if not action.in_transaction:
                with users_path(session):
                    for part in sqlparse.split(action.sql):
                        if part.strip().rstrip(";").strip():
                            session.execute(f"/* dbtune */ {part}".encode())
                return
            with session.transaction():
                # The whole text at once: PostgreSQL alone knows for certain where its statements end.
                with users_path(session):
                    session.execute(f"/* dbtune */ {action.sql}".encode())
                if session.info.transaction_status != TransactionStatus.INTRANS:
                    raise ChangeFailed("the step's SQL ended its own transaction", hint="leave out COMMIT and ROLLBACK")
                if self.before_commit is not None:
                    self.before_commit(session)


@contextmanager
def _translated_but_for_locks(doing: str) -> Iterator[None]:
    """As `translated`, but a missed lock passes: it is worth another try."""
    try:
        yield
    except errors.LockNotAvailable:
        raise
    except psycopg.Error as error:
        raise server_error(error, doing) from error


def _scalar(session: Connection, query: str) -> object:
    row = session.execute(f"/* dbtune */ {query}".encode()).fetchone()
    return row[0] if row else None
