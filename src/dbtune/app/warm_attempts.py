"""Warming one step, again and again while the cache is away for a moment; what was written is not written twice."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dbtune.core.actions import WarmKeys
from dbtune.core.errors import DbtuneError
from dbtune.core.progress import Progress
from dbtune.core.units import format_duration, format_size
from dbtune.core.warm_report import WarmedStep
from dbtune.core.warming import CacheAway, CacheLoading, Overtaken, Warmed, WarmStopped, whole
from dbtune.playbook.model import PlaybookStep
from dbtune.servers.postgres.session import Limits, connect
from dbtune.servers.redis.breaker import Breaker
from dbtune.servers.redis.pace import Pace
from dbtune.servers.redis.session import Client, forget_connections
from dbtune.servers.redis.warm import warm

MOST_OVERTAKEN = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
LONGEST_LOADING_S = 60.0
"""How long a cache that loads its data is waited for where no time budget says it."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Of all steps of a run; the breaker counts what fails because the cache is away, and ends that."""

    dsn: str
    client: Client
    breaker: Breaker
    pace: Pace
    expected: dict[str, int]
    """How many rows the planner expects, by the step's id."""

    def warm(self, step: PlaybookStep, action: WarmKeys, progress: Progress) -> WarmedStep:
        """The row of the step, whatever happened."""
        ledgers: list[Warmed] = []
        pause_s, overtaken, loading_since_s = FIRST_PAUSE_S, 0, None
        while True:
            try:
                self.breaker.call(lambda: self._once(step, action, progress, ledgers))
            except CacheLoading as error:
                loading_since_s = loading_since_s or time.monotonic()
                if not self._may_wait(loading_since_s):
                    return _row(step, ledgers, error)
                progress(f"waiting: {error.message}")
                self.pace.stopped.wait(FIRST_PAUSE_S)
            except CacheAway as error:
                loading_since_s = None
                if self.breaker.state == "open" or self.pace.stopped.is_set():
                    return _row(step, ledgers, error)
                progress(f"the cache is away, trying again in {format_duration(pause_s)}: {error.message}")
                self.pace.stopped.wait(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
                forget_connections(self.client)
            except Overtaken as error:
                overtaken += 1
                if overtaken == MOST_OVERTAKEN:
                    return _row(step, ledgers, error)
            except DbtuneError as error:
                return _row(step, ledgers, error)
            else:
                return _row(step, ledgers, None)

    def _may_wait(self, loading_since_s: float) -> bool:
        """The next attempt ends it where the time budget is used up."""
        return self.pace.deadline_s is not None or time.monotonic() < loading_since_s + LONGEST_LOADING_S

    def _once(self, step: PlaybookStep, action: WarmKeys, progress: Progress, ledgers: list[Warmed]) -> None:
        """One attempt, which goes on where the last one stopped; its ledger is added whatever happened."""
        expected = self.expected.get(step.id, 0)

        def tell(keys: int) -> None:
            before = sum(ledger.keys for ledger in ledgers)
            progress(f"{keys + before:,} keys", min(1.0, (keys + before) / expected) if expected else None)

        try:
            self.pace.check()
            with connect(self.dsn, limits=Limits(work_s=step.timeout_s or 0)) as session:
                ledgers.append(warm(session, self.client, action, progress=tell, pace=self.pace, resumable=True))
        except WarmStopped as stopped:
            ledgers.append(stopped.warmed)
            raise stopped.cause from stopped


def _row(step: PlaybookStep, ledgers: list[Warmed], error: DbtuneError | None) -> WarmedStep:
    ledger = whole(ledgers) if ledgers else Warmed(0, 0, 0, 0, 0, 0.0)
    # A query that failed may have rows, although none was read.
    notes = () if error is not None and ledger.is_empty else ledger.notes
    tried = (f"tried {len(ledgers)} times",) if len(ledgers) > 1 else ()
    return WarmedStep(
        id=step.id,
        name=step.name,
        status="warmed" if error is None else "failed",
        keys=ledger.keys,
        bytes=ledger.bytes,
        skipped=ledger.skipped + ledger.kept,
        failed=ledger.failed,
        kept=ledger.kept,
        duplicates=ledger.duplicates,
        resumed=ledger.resumed,
        attempts=len(ledgers),
        duration_s=ledger.duration_s,
        reason=f"{ledger.keys:,} keys, {format_size(ledger.bytes)} in {format_duration(ledger.duration_s)}",
        error=None if error is None else error.message,
        hint=None if error is None else error.hint,
        exit_code=0 if error is None else error.exit_code,
        notes=(*notes, *tried),
    )
