"""Connection poolers: whether a session of the server is ours alone.

One in transaction mode (PgBouncer's `pool_mode = transaction` or `statement`) lends a session for each transaction, and
then to the next client. A setting of ours would reach the application, which could not write any more; a lock of ours
would stay behind. Nothing in the protocol tells the mode, so it is tried out before the first setting is made.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from collections.abc import Callable, Sequence

import psycopg

from dbtune.core.errors import TargetError, Unsupported

Session = psycopg.Connection[tuple[object, ...]]

_PID = b"/* dbtune */ select pg_catalog.pg_backend_pid() /* dbtune */"
# Neither a pool that lends its last used session nor one that goes round gives two clients a session of their own here.
_TURNS = (0, 1, 1, 0, 0, 1)
_PATIENCE_S = 5.0


def refuse_shared(session: Session, another: Callable[[], Session], target: str) -> None:
    """Raises Unsupported where the pooler in front of `target` lends this session to `another` one as well."""
    try:
        with contextlib.closing(another()) as second:
            pids = [_backend(one) for one in [(session, second)[turn] for turn in _TURNS]]
    except (psycopg.Error, TargetError):
        # The pool takes no second client: there is nobody to share with.
        return
    if is_shared(pids):
        raise Unsupported(
            f"{target} is a connection pooler that lends one session to several clients (transaction mode):"
            " dbtune's settings and locks would reach the application",
            hint="name the server itself, past the pooler, or a pool in session mode",
        )


def is_shared(pids: Sequence[int | None]) -> bool:
    """Whether two clients, asking in turns, were answered as by a session of each one's own; None is no answer."""
    mine, other = ({pid for pid, turn in zip(pids, _TURNS, strict=True) if turn == who and pid} for who in (0, 1))
    return len(mine) > 1 or len(other) > 1 or bool(mine & other)


def _backend(session: Session) -> int | None:
    """The process that works for the session now; None when none was free in time, as each is somebody's own."""
    wire = session.pgconn
    if wire.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        return None
    wire.send_query(_PID)
    give_up_at = time.monotonic() + _PATIENCE_S
    value: bytes | None = None
    with selectors.DefaultSelector() as waiting:
        waiting.register(wire.socket, selectors.EVENT_READ)
        while True:
            # get_result waits without a limit while anything is missing, be it only the word that the server is ready.
            while wire.is_busy():
                if not waiting.select(max(give_up_at - time.monotonic(), 0)):
                    return None
                wire.consume_input()
            answer = wire.get_result()
            if answer is None:
                return None if value is None else int(value)
            value = answer.get_value(0, 0) if answer.ntuples else value
