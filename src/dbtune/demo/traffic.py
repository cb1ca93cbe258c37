"""Drives the endpoints, and measures.

A closed loop: each client sends its next request when it has the answer to the last. A client's requests are drawn
from its own seeded generator, so that two measurements ask for the same things in the same order; a faster server
gets further.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import Event

import psycopg
import redis

from dbtune.demo.backend import Backend
from dbtune.demo.cache import Cache
from dbtune.demo.database import Database, connect
from dbtune.demo.endpoints import ENDPOINTS, Endpoint, Form
from dbtune.demo.population import Population, read_population


@dataclass(frozen=True, slots=True)
class Samples:
    """One endpoint's answers: `latencies_s` of those that came, `errors` of those that did not."""

    latencies_s: Sequence[float]
    errors: int
    statements: int
    first_error: str | None = None

    @property
    def requests(self) -> int:
        return len(self.latencies_s) + self.errors

    @property
    def statements_per_request(self) -> float:
        return self.statements / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """`by_endpoint` by name. Counted is what was answered within `duration_s`; hits and misses are the cache's."""

    by_endpoint: dict[str, Samples]
    duration_s: float
    hits: int
    misses: int

    @property
    def latencies_s(self) -> Sequence[float]:
        return [latency for samples in self.by_endpoint.values() for latency in samples.latencies_s]

    @property
    def requests(self) -> int:
        return sum(samples.requests for samples in self.by_endpoint.values())

    @property
    def errors(self) -> int:
        return sum(samples.errors for samples in self.by_endpoint.values())

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.duration_s

    @property
    def hit_rate(self) -> float | None:
        """A fraction; None when nothing was looked up."""
        looked_up = self.hits + self.misses
        return self.hits / looked_up if looked_up else None


def drive(
    dsn: str,
    redis_url: str | None,
    form: Form,
    *,
    duration_s: float,
    ramp_s: float = 1.0,
    clients: int = 4,
    seed: int = 1,
) -> Traffic:
    """Send traffic for `ramp_s` unmeasured, then for `duration_s` measured. A request that fails is counted.

    Raises psycopg.OperationalError when there is no server to begin with.
    """
    population, stop = read_population(dsn), Event()
    workers = [_Client(form, population, _rng(seed * 1000 + number)) for number in range(clients)]
    with _cache_client(redis_url, clients) as cache_client, ExitStack() as connections:
        backends = [Backend(Database(connections.enter_context(connect(dsn))), Cache(cache_client)) for _ in workers]
        starts = time.perf_counter() + ramp_s
        with ThreadPoolExecutor(clients) as pool:
            try:
                futures = [
                    pool.submit(worker.send, backend, starts, starts + duration_s, stop)
                    for worker, backend in zip(workers, backends, strict=True)
                ]
                for future in futures:
                    future.result()
            except BaseException:
                # Somebody interrupts: the threads must not go on for the rest of the time.
                stop.set()
                raise
    return _merge(workers, duration_s)


def probe(endpoint: Endpoint, dsn: str, redis_url: str | None, form: Form, *, times: int, seed: int = 1) -> Samples:
    """One client, nothing else: the endpoint `times` times in a row, each request another one."""
    population, rng, tally = read_population(dsn), _rng(seed), _Tally()
    with connect(dsn) as connection, _cache_client(redis_url, 1) as cache_client:
        backend = Backend(Database(connection), Cache(cache_client))
        for _ in range(times):
            request = endpoint.request_for(population, rng)
            tally.add(_answer(endpoint, form, backend, request))
    return tally.samples()


@dataclass(frozen=True, slots=True)
class _Answer:
    latency_s: float
    statements: int
    error: str | None


@dataclass(slots=True)
class _Tally:
    """What one client saw of one endpoint."""

    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    errors: int = 0
    statements: int = 0
    first_error: str | None = None

    def add(self, answer: _Answer) -> None:
        self.statements += answer.statements
        if answer.error is None:
            self.latencies_s.append(answer.latency_s)
        else:
            self.errors += 1
            self.first_error = self.first_error or answer.error

    def samples(self) -> Samples:
        return Samples(self.latencies_s, self.errors, self.statements, self.first_error)


@dataclass(slots=True)
class _Client:
    form: Form
    population: Population
    rng: Random
    tallies: dict[str, _Tally] = field(default_factory=lambda: {endpoint.name: _Tally() for endpoint in ENDPOINTS})
    hits: int = 0
    misses: int = 0

    def send(self, backend: Backend, starts: float, ends: float, stop: Event) -> None:
        """Until `ends`; what is answered from `starts` on is counted."""
        for endpoint in _deck(self.rng):
            hits, misses = backend.cache.hits, backend.cache.misses
            answer = _answer(endpoint, self.form, backend, endpoint.request_for(self.population, self.rng))
            now = time.perf_counter()
            if now >= ends or stop.is_set():
                return
            if now >= starts:
                self.tallies[endpoint.name].add(answer)
                self.hits += backend.cache.hits - hits
                self.misses += backend.cache.misses - misses


def _answer(endpoint: Endpoint, form: Form, backend: Backend, request: object) -> _Answer:
    statements, error = backend.database.statements, None
    started = time.perf_counter()
    try:
        endpoint.form(form)(backend, request)
    except (psycopg.Error, redis.RedisError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    return _Answer(time.perf_counter() - started, backend.database.statements - statements, error)


def _deck(rng: Random) -> Iterator[Endpoint]:
    """Shuffled decks rather than single draws: a rare endpoint gets its share of a short measurement too."""
    deck = [endpoint for endpoint in ENDPOINTS for _ in range(endpoint.weight)]
    while True:
        rng.shuffle(deck)
        yield from deck


def _merge(clients: Sequence[_Client], duration_s: float) -> Traffic:
    merged = {endpoint.name: _Tally() for endpoint in ENDPOINTS}
    for client in clients:
        for name, tally in client.tallies.items():
            merged[name].latencies_s.extend(tally.latencies_s)
            merged[name].errors += tally.errors
            merged[name].statements += tally.statements
            merged[name].first_error = merged[name].first_error or tally.first_error
    return Traffic(
        by_endpoint={name: tally.samples() for name, tally in merged.items()},
        duration_s=duration_s,
        hits=sum(client.hits for client in clients),
        misses=sum(client.misses for client in clients),
    )


@contextmanager
def _cache_client(redis_url: str | None, clients: int) -> Iterator[redis.Redis | None]:
    """One client over a pool that all threads share."""
    if redis_url is None:
        yield None
        return
    with redis.Redis.from_url(redis_url, max_connections=clients) as client:
        yield client


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - requests are to be predictable
