"""Reading ahead: a thread fetches the next rows while the last ones are packed, and packs while others are sent.

libpq's results are read value by value, as bytes. The next FETCH is under way before the last one's rows are looked
at, and what was packed waits in a short queue: memory stays flat whatever the query returns.
"""

from __future__ import annotations

import contextlib
import queue
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import psycopg
from psycopg import pq

from dbtune.core.errors import DbtuneError, Unreachable
from dbtune.servers.postgres.errors import server_error, translated
from dbtune.servers.postgres.session import Connection

FIRST_ROWS = 100
FETCH_BYTES = 512 << 10
_POLL_S = 0.5
_QUEUED = 2

Packed = TypeVar("Packed")


class Rows:
    """The rows of an open cursor, as many at a time as make half a megabyte by the size of those before."""

    def __init__(self, connection: Connection, cursor: str, most_rows: int, doing: str) -> None:
        self._connection = connection
        self._cursor = cursor.encode()
        self._most_rows = most_rows
        self._doing = doing
        self.stopped = threading.Event()

    def skip(self, rows: int) -> tuple[bytes | None, ...] | None:
        """Pass over `rows` rows; the values of the last one, None where there are fewer."""
        if rows > 1:
            self._ask(b"move forward %d" % (rows - 1))
            self._result()
        self._ask(b"fetch forward 1")
        result = self._result()
        if not result.ntuples:
            return None
        return tuple(result.get_value(0, column) for column in range(result.nfields))

    def __iter__(self) -> Iterator[pq.abc.PGresult]:
        """Results of at least one row. Raises what became of the query or of the connection."""
        rows = min(FIRST_ROWS, self._most_rows)
        self._ask(b"fetch forward %d" % rows)
        while not self.stopped.is_set():
            result = self._result()
            if not result.ntuples:
                return
            size_bytes = sum(
                len(result.get_value(row, column) or b"")
                for row in range(0, result.ntuples, 20)
                for column in range(result.nfields)
            ) * min(20, result.ntuples)
            rows = max(1, min(self._most_rows, int(FETCH_BYTES * result.ntuples / (size_bytes + 1))))
            self._ask(b"fetch forward %d" % rows)
            yield result

    def settle(self) -> None:
        """Nothing is under way afterwards, so that the transaction can end as it has to."""
        self.stopped.set()
        connection = self._connection.pgconn
        if connection.transaction_status != pq.TransactionStatus.ACTIVE:
            return
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=5)
            while connection.get_result() is not None:
                pass

    def _ask(self, what: bytes) -> None:
        with translated(self._doing):
            self._connection.pgconn.send_query_params(
                b'/* dbtune */ %b from "%b"' % (what, self._cursor), [], result_format=1
            )

    def _result(self) -> pq.abc.PGresult:
        """The one result of what was asked. The wait lets other threads work, and ends when this is stopped."""
        connection = self._connection.pgconn
        found: pq.abc.PGresult | None = None
        try:
            while True:
                while connection.is_busy():
                    if select.select([connection.socket], [], [], _POLL_S)[0]:
                        connection.consume_input()
                    elif self.stopped.is_set():
                        raise Unreachable(f"{self._doing}: stopped")
                result = connection.get_result()
                if result is None:
                    break
                found = result
        except psycopg.Error as error:
            raise server_error(error, self._doing) from error
        if found is None:
            raise Unreachable(f"{self._doing}: the server gave no answer", hint="look into its log; run it again")
        if found.status == pq.ExecStatus.FATAL_ERROR:
            refused = psycopg.errors.error_from_result(found, encoding="utf-8")
            raise server_error(refused, self._doing) from refused
        return found


class _Failure:
    """What ended the thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    """No more comes."""


class Ahead(Generic[Packed]):
    """What the thread made, in its order."""

    def __init__(self, make: Callable[[], Iterator[Packed]], stopped: threading.Event) -> None:
        self._make, self._stopped = make, stopped
        self._queue: queue.Queue[Packed | _Failure | _End] = queue.Queue(_QUEUED)
        self._thread = threading.Thread(target=self._work, name="dbtune-rows", daemon=True)

    def __iter__(self) -> Iterator[Packed]:
        """Raises what went wrong in the thread, after all that it had made before."""
        self._thread.start()
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item

    def end(self) -> None:
        """The thread has ended afterwards."""
        self._stopped.set()
        while self._thread.is_alive():
            # It may wait for a place in the queue.
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.05)

    def _work(self) -> None:
        try:
            for made in self._make():
                self._put(made)
            self._put(_End())
        except (DbtuneError, psycopg.Error) as error:
            self._put(_Failure(error))
        except BaseException as error:  # noqa: BLE001 - a bug must not leave the reader waiting for ever
            self._put(_Failure(error))

    def _put(self, item: Packed | _Failure | _End) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
        return None


@contextmanager
def ahead(make: Callable[[], Iterator[Packed]], stopped: threading.Event) -> Iterator[Iterator[Packed]]:
    """What `make` yields, made by a thread that has ended after the block."""
    reader = Ahead(make, stopped)
    try:
        yield iter(reader)
    finally:
        reader.end()
