"""Waiting for what another process or thread does: until it is so, or the test fails and says what never came."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

# No speed is judged: only what never comes about takes this long.
PATIENCE_S = 60.0
LOOK_AGAIN_S = 0.02

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, *, passing: tuple[type[Exception], ...] = ()) -> T:
    """What `look` returns once that is true. Errors of the kinds `passing` mean: not yet."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := look():
                return found
        except passing:
            pass
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(LOOK_AGAIN_S)


def until_so(connection: psycopg.Connection[Any], query: str) -> None:
    """Until the query's first value is true. The connection has to see what others commit: autocommit, or it began."""
    until(lambda: (connection.execute(query.encode()).fetchone() or (None,))[0], query)


def until_accepted(dsn: str) -> None:
    """Until a PostgreSQL that is starting takes connections."""
    until(lambda: psycopg.connect(dsn), "the server starts", passing=(psycopg.OperationalError,)).close()
