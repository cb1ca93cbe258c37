# ruff: noqa: S311 - seeded on purpose: a run can be repeated
"""Mixes of real requests between snapshots, and how right the findings are."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from dbtune.app.statement_windows import watch
from dbtune.checks.check import Audited
from dbtune.checks.n_plus_one import judge
from dbtune.core.findings import Finding
from dbtune.nplusone.traffic import Traffic
from dbtune.servers.postgres.session import connect

Endpoints = Mapping[str, Callable[[Random], Any]]
Expected = Mapping[str, Sequence[str]]
WINDOWS = 12
DRIFT = 150
"""Requests, after which other pages are popular."""
PERIODS = 6
"""In each, every endpoint of a mix is asked for at a rate of its own; two sub-windows long."""
SERVER = Audited(180000, "shop", "postgres", is_superuser=True, is_replica=False, statistics_age_s=1.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one mix: what was found rightly, found wrongly, and missed."""

    seed: int
    right: tuple[str, ...]
    wrong: tuple[Finding, ...]
    missed: tuple[str, ...]
    names: tuple[str, ...]


def run_mix(
    dsn: str, endpoints: Endpoints, names: Sequence[str], seed: int, *, requests: int = 5, steady: bool = False
) -> Traffic:
    """In each period, every endpoint of the mix serves a number of requests of its own, in random order.

    `steady`: as many in each.
    """
    draw = Random(seed)
    parts: list[Sequence[str]] = []
    with connect(dsn) as session:

        def pause(_: float) -> None:
            if not parts:
                often = {name: requests if steady else draw.randint(requests // 4, 2 * requests) for name in names}
                # What is asked once per request comes with more requests than any single list.
                often |= {name: 2 * count for name, count in often.items() if name.startswith("like_")}
                queue = [name for name in names for _ in range(often[name])]
                draw.shuffle(queue)
                each = WINDOWS // PERIODS
                parts.extend(queue[len(queue) * at // each : len(queue) * (at + 1) // each] for at in range(each))
            for name in parts.pop(0):
                endpoints[name](draw)

        return watch(session, 60.0, WINDOWS, pause=pause)


@contextmanager
def serving(
    endpoints: Endpoints,
    names: Sequence[str],
    seed: int,
    leave: Callable[[], Any],
    *,
    threads: int = 3,
    idle_s: float = 0,
) -> Iterator[Callable[[], int]]:
    """Requests from several threads at once, until left; what is yielded tells how many were served.

    How often each endpoint is asked for drifts, as visitors come and go. `leave` closes what a thread has opened.
    """
    stop, lock = threading.Event(), threading.Lock()
    draw, failed, served = Random(seed), list[BaseException](), [0]
    weights = [1.0] * len(names)

    def count() -> None:
        with lock:
            served[0] += 1
            if served[0] % DRIFT == 1:
                weights[:] = [(2 if name.startswith("like_") else 1) * draw.choice((0.5, 1, 1, 2)) for name in names]

    def work(number: int) -> None:
        own = Random(1000 * seed + number)
        try:
            while not stop.is_set():
                endpoints[own.choices(names, weights)[0]](own)
                count()
                stop.wait(own.expovariate(1 / idle_s) if idle_s else 0)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody sees it
            failed.append(error)
        finally:
            leave()

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield lambda: served[0] if not failed else -1
    finally:
        stop.set()
        for thread in running:
            thread.join()
    if failed:
        raise failed[0]


def found_in(traffic: Traffic) -> list[Finding]:
    return [one for one in judge([traffic], SERVER) if isinstance(one, Finding)]


def assess(found: Sequence[Finding], names: Sequence[str], expected: Expected, seed: int) -> Outcome:
    patterns = {pattern for name in names for pattern in expected.get(name, ())}
    hits = {pattern: [one for one in found if _is(one, pattern)] for pattern in patterns}
    known = {id(one) for listed in hits.values() for one in listed}
    return Outcome(
        seed,
        tuple(sorted(pattern for pattern, listed in hits.items() if listed)),
        tuple(one for one in found if id(one) not in known),
        tuple(sorted(pattern for pattern, listed in hits.items() if not listed)),
        tuple(names),
    )


def mix_of(endpoints: Endpoints, seed: int) -> list[str]:
    """One to three bad endpoints, some fixed ones, and more than half of what looks alike."""
    draw = Random(seed)
    kinds: dict[str, list[str]] = {
        kind: [name for name in endpoints if name.startswith(kind)] for kind in ("bad_", "good_", "like_")
    }
    picked = draw.sample(kinds["bad_"], draw.randint(1, 3)) + draw.sample(kinds["good_"], draw.randint(1, 4))
    return picked + draw.sample(kinds["like_"], draw.randint(len(kinds["like_"]) // 2, len(kinds["like_"])))


def _is(found: Finding, pattern: str) -> bool:
    return re.search(pattern, found.evidence["child"]["query"], re.DOTALL) is not None


def precision_recall(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    right = sum(len(one.right) for one in outcomes)
    wrong = sum(len(one.wrong) for one in outcomes)
    missed = sum(len(one.missed) for one in outcomes)
    return right / max(right + wrong, 1), right / max(right + missed, 1)


def fill(dsn: str, name: str = "shop") -> None:
    """The tables of an application, statement by statement: deferred checks must be done before an index is built."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_stat_statements")
        for statement in (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
