"""The part of an audit that looks at Redis: counters before and after the window, then one survey of each server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.errors import DbtuneError, TargetError
from dbtune.core.findings import Unexamined
from dbtune.core.progress import Progress

CacheRows = dict[tuple[str, type[Any]], Sequence[Any] | DbtuneError]
Survey = Callable[[float], CacheSurvey]
_KEY = ("cache_survey", CacheSurvey)


@dataclass(frozen=True, slots=True)
class SeenCache:
    """One survey for each server; those of a cluster that did not answer are `away`."""

    rows: CacheRows = field(default_factory=dict)
    away: tuple[Unexamined, ...] = ()


@contextmanager
def watched(url: str | None, chosen: Sequence[Check], window_s: float) -> Iterator[Callable[[Progress], SeenCache]]:
    """Counters are read now; calling what this yields waits for the rest of the window and gives the rows.

    What PostgreSQL is asked in between thus falls into the same window. Of a cluster, named by any of its nodes, all
    primaries are looked at. Without a URL or a check of Redis there are no rows. Raises what connecting raises.
    """
    if url is None or not any(check.source == "redis" for check in chosen):
        yield lambda _: SeenCache()
        return
    from dbtune.app.cache_cluster import those_that_answer

    with ExitStack() as stack:
        surveys, away = _opened(url, stack)
        started = time.monotonic()

        def finish(progress: Progress) -> SeenCache:
            _wait(started + window_s, window_s, progress)
            progress("sampling Redis")
            seconds = time.monotonic() - started if window_s else 0.0
            try:
                # At the same time: each is bounded in time, and a cluster may have many.
                with ThreadPoolExecutor(len(surveys), "dbtune-cache") as pool:
                    asked = [pool.submit(survey, seconds) for survey in surveys]
                    found, gone = those_that_answer(asked, Future.result)
            except TargetError as error:
                # It answered when the audit began: what PostgreSQL told is worth having all the same.
                return SeenCache({_KEY: error}, away)
            return SeenCache({_KEY: found}, (*away, *gone))

        yield finish


def _opened(url: str, stack: ExitStack) -> tuple[Sequence[Survey], tuple[Unexamined, ...]]:
    """A survey of each server that answers. Raises what connecting to the one that was named raises."""
    from dbtune.app.cache_cluster import those_that_answer
    from dbtune.servers.redis.nodes import node_urls
    from dbtune.servers.redis.survey import opened_survey

    named = stack.enter_context(opened_survey(url))
    try:
        urls = node_urls(url)
    except TargetError as error:
        # A node whose others are out of reach, as behind a socket or a tunnel: it is looked at by itself.
        return [named], (Unexamined("node", error.message, error.hint),)
    if len(urls) == 1:
        return [named], ()
    return those_that_answer(urls, lambda node: stack.enter_context(opened_survey(node)))


def judged_caches(check: Check, target: str, rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """What a check says of one server, or of the nodes of a cluster, of which `target` is the name."""
    from dbtune.app.cache_cluster import joined, judged

    return judged(joined(target, rows), rows, lambda row: tuple(check.judge([row], server)))


def _wait(until: float, window_s: float, progress: Progress) -> None:
    while (left_s := until - time.monotonic()) > 0:
        progress("watching Redis", 1 - left_s / window_s)
        time.sleep(min(left_s, 0.5))


def traces(rows: Mapping[tuple[str, type[Any]], Sequence[Any] | DbtuneError]) -> tuple[str, ...]:
    """What looking at Redis left in its counters, so that nobody takes it for traffic."""
    found = rows.get(_KEY, ())
    samples = [] if isinstance(found, DbtuneError) else [row.sample for row in found]
    moved = sum(sample.lookups_added for sample in samples if not isinstance(sample, Unseen))
    if not moved:
        return ()
    return (f"sampling Redis moved keyspace_hits and keyspace_misses by {moved:,}, after the window",)
