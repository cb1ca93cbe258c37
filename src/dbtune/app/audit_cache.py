"""The part of an audit that looks at Redis: counters before and after the window, then one survey."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Check
from dbtune.core.errors import DbtuneError, TargetError
from dbtune.core.progress import Progress

CacheRows = dict[tuple[str, type[Any]], Sequence[Any] | DbtuneError]
_KEY = ("cache_survey", CacheSurvey)


@contextmanager
def watched(url: str | None, chosen: Sequence[Check], window_s: float) -> Iterator[Callable[[Progress], CacheRows]]:
    """Counters are read now; calling what this yields waits for the rest of the window and gives the rows.

    What PostgreSQL is asked in between thus falls into the same window. Without a URL or a check of Redis there are
    no rows. Raises what connecting raises.
    """
    if url is None or not any(check.source == "redis" for check in chosen):
        yield lambda _: {}
        return
    from dbtune.servers.redis.survey import opened_survey

    with opened_survey(url) as survey:
        started = time.monotonic()

        def finish(progress: Progress) -> CacheRows:
            _wait(started + window_s, window_s, progress)
            progress("sampling Redis")
            try:
                return {_KEY: (survey(time.monotonic() - started if window_s else 0.0),)}
            except TargetError as error:
                # It answered when the audit began: what PostgreSQL told is worth having all the same.
                return {_KEY: error}

        yield finish


def _wait(until: float, window_s: float, progress: Progress) -> None:
    while (left_s := until - time.monotonic()) > 0:
        progress("watching Redis", 1 - left_s / window_s)
        time.sleep(min(left_s, 0.5))


def traces(rows: Mapping[tuple[str, type[Any]], Sequence[Any] | DbtuneError]) -> tuple[str, ...]:
    """What looking at Redis left in its counters, so that nobody takes it for traffic."""
    found = rows.get(_KEY, ())
    samples = [] if isinstance(found, DbtuneError) else [row.sample for row in found]
    return tuple(
        f"sampling Redis moved keyspace_hits and keyspace_misses by {sample.lookups_added:,}, after the window"
        for sample in samples
        if not isinstance(sample, Unseen) and sample.lookups_added
    )
