"""How fast a warm-up may go: a rate that was set, the server's own latency, its memory, and who told it to stop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis
from redis import exceptions

from dbtune.core.errors import ChangeFailed, DbtuneError, Interrupted

LOOK_S = 0.1
# A cycle of an idle server takes some hundredths of a millisecond; doubling that is no burden to anybody.
LEAST_LATENCY_S = 0.001
# Where the server does not measure itself, a round trip tells less.
LEAST_PING_S = 0.02
PROBES = 5
LONGEST_PAUSE_S = 0.25
BATCHES_EACH_SECOND = 10
PIECES_EACH_SECOND = 200
_EVICTING_HINT = "raise maxmemory, warm fewer rows, or go on with --ignore-memory"


@dataclass(slots=True)
class Pace:
    """Shared by the threads of one run. `max_rate` is in keys a second, `deadline_s` on the monotonic clock.

    `polite`: back off while the server's latency is twice what it was at the start. `careful`: stop when it evicts.
    """

    max_rate: float | None = None
    deadline_s: float | None = None
    polite: bool = False
    careful: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    looks: int = 0
    """How often the server was asked how it is."""
    _paid_until_s: float = 0.0
    _pause_s: float = 0.0
    _failure: DbtuneError | None = None
    _door: threading.Lock = field(default_factory=threading.Lock)

    @property
    def batch_rows(self) -> int | None:
        """No more at a time than a tenth of a second's: a run that is stopped ends soon. None: as many as suit."""
        return None if self.max_rate is None else max(1, int(self.max_rate / BATCHES_EACH_SECOND))

    @property
    def piece_keys(self) -> int | None:
        """No more go to the server at one moment than a two-hundredth of a second's. None: as many as suit.

        It turns to others after each 16 kB that it reads, so more at once would not hold them up; but each moment
        wakes this process and the server, and where processors are few that is what others wait for.
        """
        return None if self.max_rate is None else max(1, int(self.max_rate / PIECES_EACH_SECOND))

    @property
    def pause_s(self) -> float:
        """What is waited before each batch for the server's sake."""
        return self._pause_s

    def stop(self, failure: DbtuneError | None = None) -> None:
        self._failure = self._failure or failure
        self.stopped.set()

    def check(self) -> None:
        """Raises what somebody stopped this for, Interrupted, or ChangeFailed when the time is used up."""
        if self.stopped.is_set():
            raise self._failure or Interrupted("interrupted")
        if self.deadline_s is not None and time.monotonic() > self.deadline_s:
            raise ChangeFailed("the time budget is used up", hint="the next run goes on from here")

    def wait(self, keys: int) -> None:
        """Until so many keys may be written. Raises what `check` raises."""
        self.check()
        self.space(keys, self._pause_s)
        self.check()

    def space(self, keys: int, pause_s: float = 0.0) -> None:
        """As `wait`, in the middle of what is written together: who stops this hastens it, and nothing is raised."""
        if self.max_rate is not None:
            with self._door:
                now_s = time.monotonic()
                start_s = max(self._paid_until_s, now_s)
                self._paid_until_s = start_s + keys / self.max_rate
            pause_s += start_s - now_s
        if pause_s > 0:
            self.stopped.wait(pause_s)

    @contextmanager
    def watched(self, connect: Callable[[], redis.Redis]) -> Iterator[None]:
        """While it lasts, a thread with a connection of its own asks the server how it is."""
        if not (self.polite or self.careful):
            yield
            return
        ended = threading.Event()
        client = connect()
        watcher = threading.Thread(target=self._watch, args=(client, ended), name="dbtune-pace", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            client.close()

    def _watch(self, client: redis.Redis, ended: threading.Event) -> None:
        try:
            before = _look(client)
            usual_s = before.cycle_s if before.cycles else before.wait_s
            most_s = max(2 * usual_s, LEAST_LATENCY_S if before.cycles else LEAST_PING_S)
            evicted, was_long = before.evicted, False
            while not ended.wait(LOOK_S):
                now = _look(client)
                long = now.latency_s(before) > most_s
                # One round trip may have been long for our own sake; the server's clock is believed at once.
                slow, was_long = long and (was_long or now.cycles > 0), long
                if self.polite:
                    self._pause_s = min(LONGEST_PAUSE_S, max(0.002, self._pause_s * 2)) if slow else self._pause_s / 2
                if self.careful and now.evicted > evicted:
                    self.stop(ChangeFailed("the server evicts keys to make room for these", hint=_EVICTING_HINT))
                before = now
                self.looks += 1
        except exceptions.RedisError:
            # Whoever writes hears of a lost server too, and says what it means. Without the right to ask there is
            # nothing to go by.
            return


@dataclass(frozen=True, slots=True)
class _Look:
    """Cycles of the server's event loop since its start, and their time; none before Redis 7.2 and Valkey 8.

    Without them `wait_s` is how long it lets somebody wait.
    """

    cycles: int
    cycles_us: int
    wait_s: float
    evicted: int

    @property
    def cycle_s(self) -> float:
        return self.cycles_us / max(1, self.cycles) / 1e6

    def latency_s(self, before: _Look) -> float:
        """How long somebody who comes in has to wait: a cycle, by the server's clock. Our own waiting is not in it."""
        if not self.cycles:
            return self.wait_s
        return (self.cycles_us - before.cycles_us) / max(1, self.cycles - before.cycles) / 1e6


def _look(client: redis.Redis) -> _Look:
    found = client.info("stats")
    cycles, cycles_us = int(found.get("eventloop_cycles", 0)), int(found.get("eventloop_duration_sum", 0))
    return _Look(cycles, cycles_us, 0.0 if cycles else _wait_s(client), int(found.get("evicted_keys", 0)))


def _wait_s(client: redis.Redis) -> float:
    """The shortest of some round trips, less the longest of as many to ourselves.

    Whoever waits for a processor, or for Python, waits in both kinds: that is no fault of the server's.
    """
    pings_s, own_s = [], []
    left, right = socket.socketpair()
    with left, right:
        for _ in range(PROBES):
            start_s = time.perf_counter()
            client.ping()
            there_s = time.perf_counter()
            left.sendall(b".")
            right.recv(1)
            pings_s.append(there_s - start_s)
            own_s.append(time.perf_counter() - there_s)
    return max(0.0, min(pings_s) - max(own_s))
