"""Puts load on with threads that call Python: flows of an application, or requests with httpx."""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dbtune.core.secrets import mask_password
from dbtune.load.live import Ended, Live, Watch
from dbtune.load.recorder import Recorder, Seen
from dbtune.load.stages import Segment

_GRACE_S = 30.0
_SHORT_GRACE_S = 3.0
_LONGEST_ERROR = 200


class FailedCall(Exception):
    """A call of ours that failed, in words that need no name of a Python class before them."""


class Worker(Protocol):
    """What one client has of its own: connections. `calls` in the order of the streams."""

    @property
    def calls(self) -> Sequence[Callable[[], object]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Finished:
    """One call: when it ended, what a user waited and what it took itself (both in seconds), and how it failed."""

    stream: int
    ended: float
    response_s: float
    service_s: float | None
    error: str | None


@dataclass(slots=True)
class _Shared:
    """What the threads of one segment have in common. `start` and `end` on the monotonic clock."""

    segment: Segment
    start: float
    end: float
    streams: Callable[[], int]
    stop: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    finished: deque[_Finished] = field(default_factory=deque)
    # Appended to by every thread: a deque, because adding to a number is not atomic.
    begun: deque[None] = field(default_factory=deque)


class Threads:
    """Successive segments; clients keep their connections from one to the next."""

    def __init__(self, make: Callable[[], Worker], weights: Sequence[int], recorder: Recorder, watch: Watch) -> None:
        self._make, self._weights, self._recorder, self._watch = make, tuple(weights), recorder, watch
        self._workers: list[Worker] = []

    def run(self, segment: Segment) -> Ended:
        """Raises what making a worker raises."""
        while len(self._workers) < segment.clients:
            self._workers.append(self._make())
        start = time.perf_counter()
        shared = _Shared(segment, start, start + segment.duration_s, self._choose)
        threads = [
            threading.Thread(target=_work, args=(worker, shared), daemon=True)
            for worker in self._workers[: segment.clients]
        ]
        try:
            for thread in threads:
                thread.start()
            return self._attend(threads, shared)
        finally:
            shared.stop.set()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def _choose(self) -> int:
        if len(self._weights) == 1:
            return 0
        return random.choices(range(len(self._weights)), self._weights)[0]  # noqa: S311 - traffic, not secrets

    def _attend(self, threads: Sequence[threading.Thread], shared: _Shared) -> Ended:
        stopped = True
        try:
            stopped = self._look_on(threads, shared)
        finally:
            # Also after Ctrl-C: what was measured until then is worth showing.
            shared.stop.set()
            worked_until = time.perf_counter()
            hanging = _join(threads, _SHORT_GRACE_S if stopped else _GRACE_S)
            latest = max((call.ended for call in shared.finished), default=worked_until)
            self._drain(shared)
            self._settle(shared, max(latest, min(worked_until, shared.end)) - shared.start, stopped=stopped)
        broken = (f"{hanging} calls still ran {_GRACE_S:g} s after their stage, and were given up",) if hanging else ()
        return Ended(broken, stopped=stopped)

    def _look_on(self, threads: Sequence[threading.Thread], shared: _Shared) -> bool:
        """Until the end of the segment; whether somebody asked for it earlier."""
        segment, last = shared.segment, shared.start
        while (now := time.perf_counter()) < shared.end:
            if segment.clients and not any(thread.is_alive() for thread in threads):
                break
            shared.stop.wait(min(1.0, max(shared.end - now, 0.001)))
            now = time.perf_counter()
            times = self._drain(shared)
            live = Live(
                offset_s=segment.start_s + min(now - shared.start, segment.duration_s),
                clients=segment.clients,
                rate=len(times) / max(now - last, 0.001),
                p95_s=times[int(0.95 * (len(times) - 1))] if times else None,
            )
            last = now
            if self._watch(live):
                return True
        return False

    def _settle(self, shared: _Shared, measured_s: float, *, stopped: bool) -> None:
        segment = shared.segment
        if segment.stage < 0:
            return
        end_s = segment.start_s + min(measured_s, segment.duration_s)
        self._recorder.worked(segment.start_s, end_s if stopped else segment.end_s, measured_s)
        if segment.rate is not None:
            due = math.ceil(segment.rate * min(measured_s, segment.duration_s) - 1e-9)
            self._recorder.drop(end_s - 1e-6, due - len(shared.begun))

    def _drain(self, shared: _Shared) -> list[float]:
        """What ended since the last look into the recorder; its times, sorted."""
        times = []
        segment = shared.segment
        while shared.finished:
            call = shared.finished.popleft()
            times.append(call.response_s)
            if segment.stage < 0:
                continue
            offset_s = segment.start_s + min(call.ended - shared.start, segment.duration_s * 0.999999)
            if call.error is not None:
                self._recorder.fail(call.stream, offset_s, call.error)
                continue
            service_us = None if call.service_s is None else round(call.service_s * 1e6)
            self._recorder.add(Seen(call.stream, offset_s, round(call.response_s * 1e6), service_us))
        return sorted(times)


def _work(worker: Worker, shared: _Shared) -> None:
    rate = shared.segment.rate
    while not shared.stop.is_set():
        due = time.perf_counter()
        if rate is not None:
            # An absolute schedule: a call that comes late does not push back those after it.
            due = shared.start + next(shared.numbers) / rate
            if due >= shared.end or shared.stop.wait(max(due - time.perf_counter(), 0.0)):
                return
        began = time.perf_counter()
        if began >= shared.end:
            return
        shared.begun.append(None)
        stream = shared.streams()
        error = _call(worker.calls[stream])
        ended = time.perf_counter()
        shared.finished.append(_Finished(stream, ended, ended - due, None if rate is None else ended - began, error))


def _call(call: Callable[[], object]) -> str | None:
    """What failed, in one line, or None."""
    try:
        call()
    except FailedCall as error:
        return str(error)[:_LONGEST_ERROR]
    except Exception as error:  # noqa: BLE001 - whatever an application raises is a failed request
        text = " ".join(str(error).split())
        return mask_password(f"{type(error).__name__}: {text}" if text else type(error).__name__)[:_LONGEST_ERROR]
    return None


def _join(threads: Sequence[threading.Thread], patience_s: float) -> int:
    """How many did not end in time."""
    until = time.monotonic() + patience_s
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(until - time.monotonic(), 0.0))
    return sum(thread.is_alive() for thread in threads)
