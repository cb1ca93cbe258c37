"""Timed statements: n repetitions after a warm-up, the raw seconds kept.

Their texts carry no mark of dbtune's: the server files calls by the statement, not by its comments, and a marked text
that came first would hide the application's own calls. They run outside the windows in which counters are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from dbtune.core.progress import Progress, silent
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection

WARM_UP = 5


def time_statement(
    connection: Connection,
    sql: str,
    params: Sequence[Any] = (),
    *,
    repeat: int,
    warm_up: int = WARM_UP,
    name: str = "",
    progress: Progress = silent,
) -> tuple[float, ...]:
    """Seconds of each of `repeat` executions with all rows fetched, after `warm_up` that are not counted.

    `$1` in the statement stands for the first of `params`. The session decides whether it may write.
    """
    cursor = psycopg.RawCursor(connection)

    def run() -> None:
        cursor.execute(sql.encode(), params or None, prepare=True)
        if cursor.description is not None:
            cursor.fetchall()

    with translated(f"timing {name or 'a statement'}"), users_path(connection):
        return time_calls(run, repeat=repeat, warm_up=warm_up, name=name, progress=progress)


def time_calls(
    run: Callable[[], object], *, repeat: int, warm_up: int = WARM_UP, name: str = "", progress: Progress = silent
) -> tuple[float, ...]:
    """Seconds of each of `repeat` calls of `run`, after `warm_up` that are not counted."""
    for _ in range(min(warm_up, repeat)):
        run()
    seconds = []
    for done in range(repeat):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
        progress(f"timing {name}", (done + 1) / repeat)
    return tuple(seconds)
