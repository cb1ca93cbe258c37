"""Reading ahead: one thread fetches the next rows, another packs the last ones, while others are sent.

A fetch is one call of libpq, which needs nothing of Python until all of its rows are there: it goes on whatever else
is done meanwhile. What was fetched and what was packed waits in short queues: memory stays flat whatever the query
returns.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.types.string import ByteaBinaryLoader

from dbtune.core.errors import DbtuneError
from dbtune.servers.postgres.errors import server_error, translated
from dbtune.servers.postgres.session import Connection

FIRST_ROWS = 100
FETCH_BYTES = 2 << 20
SWITCH_S = 0.0001
_POLL_S = 0.1
_QUEUED = 1

Row = tuple[bytes | None, ...]
"""Key, value, and whatever else the shape of the rows says."""

Made = TypeVar("Made")


class Rows:
    """The rows of an open cursor, as many at a time as make two megabytes by the size of those before."""

    def __init__(self, connection: Connection, cursor: str, most_rows: int, doing: str) -> None:
        self._connection = connection
        self._cursor = cursor.encode()
        self._most_rows = most_rows
        self._doing = doing
        self.stopped = threading.Event()

    def skip(self, rows: int) -> Row | None:
        """Pass over `rows` rows; the values of the last one, None where there are fewer."""
        if rows > 1:
            self._fetched(b"move forward %d" % (rows - 1))
        result = self._fetched(b"fetch forward 1")
        if not result.ntuples:
            return None
        return tuple(result.get_value(0, column) for column in range(result.nfields))

    def __iter__(self) -> Iterator[pq.abc.PGresult]:
        """Results of at least one row. Raises what became of the query or of the connection."""
        rows = min(FIRST_ROWS, self._most_rows)
        while not self.stopped.is_set():
            result = self._fetched(b"fetch forward %d" % rows)
            if not result.ntuples:
                return
            # By some of them: an estimate is enough to keep a fetch at about that.
            some = range(0, result.ntuples, 1 + result.ntuples // 100)
            columns = range(result.nfields)
            size_bytes = sum(len(result.get_value(row, column) or b"") for row in some for column in columns)
            rows = max(1, min(self._most_rows, FETCH_BYTES * len(some) // (size_bytes + 1)))
            yield result

    def cancel(self) -> None:
        """End a query that is under way; whoever waits for it hears of that."""
        self.stopped.set()
        if self._connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            with contextlib.suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=5)

    def _fetched(self, what: bytes) -> pq.abc.PGresult:
        """The rows in binary form. The wait lets other threads work."""
        with translated(self._doing):
            found = self._connection.pgconn.exec_params(
                b'/* dbtune */ %b from "%b"' % (what, self._cursor), [], result_format=1
            )
        if found.status == pq.ExecStatus.FATAL_ERROR:
            refused = psycopg.errors.error_from_result(found, encoding="utf-8")
            raise server_error(refused, self._doing) from refused
        return found


class Loader:
    """From libpq's results to rows of bytes, in C where psycopg has it."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor()
        self._known: set[int] = set()

    def rows(self, result: pq.abc.PGresult) -> list[Row]:
        """Every value as PostgreSQL sent it, whatever its type."""
        for oid in {result.ftype(column) for column in range(result.nfields)} - self._known:
            self._cursor.adapters.register_loader(oid, ByteaBinaryLoader)
            self._known.add(oid)
        transformer = Transformer(self._cursor)
        transformer.set_pgresult(result)
        return cast("list[Row]", transformer.load_rows(0, result.ntuples, tuple))


class _Failure:
    """What ended the thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    """No more comes."""


class Ahead(Generic[Made]):
    """What the thread made, in its order."""

    def __init__(self, make: Iterable[Made], stopped: threading.Event, hasten: Callable[[], None]) -> None:
        self._make, self._stopped, self._hasten = make, stopped, hasten
        self._queue: queue.Queue[Made | _Failure | _End] = queue.Queue(_QUEUED)
        self._thread = threading.Thread(target=self._work, name="dbtune-rows", daemon=True)

    def __iter__(self) -> Iterator[Made]:
        """Raises what went wrong in the thread, after all that it had made before."""
        self._thread.start()
        while True:
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                if self._stopped.is_set():
                    # What is made then is not put into the queue any more.
                    return
                continue
            if isinstance(item, _End):
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item

    def end(self) -> None:
        """The thread has ended afterwards."""
        self._stopped.set()
        while self._thread.is_alive():
            self._hasten()
            # It may wait for a place in the queue.
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.05)

    def _work(self) -> None:
        try:
            for made in self._make:
                self._put(made)
            self._put(_End())
        except (DbtuneError, psycopg.Error) as error:
            self._put(_Failure(error))
        except BaseException as error:  # noqa: BLE001 - a bug must not leave the reader waiting for ever
            self._put(_Failure(error))

    def _put(self, item: Made | _Failure | _End) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
        return None


@contextmanager
def ahead(
    make: Iterable[Made], stopped: threading.Event, hasten: Callable[[], None] = lambda: None
) -> Iterator[Iterator[Made]]:
    """What `make` yields, made by a thread that has ended after the block; `hasten` ends what it waits for."""
    # Between two fetches PostgreSQL waits until the thread that asks for the next one has had its turn.
    sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))
    reader = Ahead(make, stopped, hasten)
    try:
        yield iter(reader)
    finally:
        reader.end()
