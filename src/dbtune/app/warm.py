"""Warming what is due: locked, resumed where an earlier run stopped, tried again while the cache is away."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from dbtune.app.selection import Selection
from dbtune.app.targets import OpenTargets
from dbtune.app.warm_attempts import LONGEST_LOADING_S, Attempts
from dbtune.app.workspace import Workspace, opened
from dbtune.core.actions import WarmKeys
from dbtune.core.errors import Interrupted, Misused, Unreachable
from dbtune.core.progress import Progress
from dbtune.core.warm_report import WarmedStep, WarmReport
from dbtune.core.warming import CacheAway, CacheLoading
from dbtune.playbook.model import Playbook, PlaybookStep
from dbtune.servers.redis.breaker import Breaker
from dbtune.servers.redis.lock import held, lock_name
from dbtune.servers.redis.pace import Pace
from dbtune.servers.redis.session import Client, connect, connect_whole, describe_target
from dbtune.steps.cache_warm import CacheWarm
from dbtune.steps.step import Plan

BLOCKED_EXIT, FAILED_EXIT, INTERRUPTED_EXIT = 3, 4, 130
_TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class WarmOrder:
    """What is asked of a run. `force`: also what is not due; `max_rate` in keys a second.

    `deadline_s`, on the monotonic clock, is when its time is used up.
    """

    playbook: Playbook
    redis_url: str
    selection: Selection = field(default_factory=Selection)
    force: bool = False
    dry_run: bool = False
    parallel: int = 2
    max_rate: float | None = None
    deadline_s: float | None = None
    lock_wait_s: float = 0.0
    ignore_memory: bool = False
    full_speed: bool = False


def warm_playbook(
    workspace: Workspace, order: WarmOrder, breaker: Breaker, told: list[str], progress: Progress
) -> WarmReport:
    """`told` are the breaker's transitions; what fails is a row.

    Raises Busy when another run is at it, Misused without a step.
    """
    report = _Warming(workspace, order, breaker, progress).run()
    return replace(report, transitions=tuple(told))


@contextlib.contextmanager
def opened_for_warming(
    targets: OpenTargets, told: list[str], deadline_s: float | None, progress: Progress
) -> Iterator[tuple[Workspace, Breaker]]:
    """The servers, and the breaker of this cache, which counts a connection that cannot be had; `told` hears of it.

    A cache that loads its data is waited for, until `deadline_s` of the monotonic clock; None: for a minute.
    Raises Unreachable without a try while the circuit is open.
    """
    url = targets.redis or ""
    breaker = Breaker(describe_target(url), told.append)
    give_up_s = time.monotonic() + LONGEST_LOADING_S if deadline_s is None else deadline_s
    while True:
        try:
            breaker.call(lambda: _probe(url))
            break
        except CacheLoading as error:
            if time.monotonic() >= give_up_s:
                raise
            progress(f"waiting: {error.message}")
            time.sleep(_TICK_S)
    with opened(targets) as workspace:
        yield workspace, breaker


def _probe(url: str) -> None:
    try:
        connect(url).close()
    except CacheAway:
        raise
    except Unreachable as error:
        raise CacheAway(error.message, hint=error.hint) from error


class _Warming:
    """One run under way."""

    def __init__(self, workspace: Workspace, order: WarmOrder, breaker: Breaker, progress: Progress) -> None:
        self._workspace, self._order, self._breaker, self._progress = workspace, order, breaker, progress
        self._started_at, self._clock = datetime.now(UTC), time.monotonic()
        self._pace = Pace(
            order.max_rate, order.deadline_s, polite=not order.full_speed, careful=not order.ignore_memory
        )

    def run(self) -> WarmReport:
        steps = self._steps()
        plans = self._plans(steps)
        rows = {step.id: self._planned(step, plans[step.id]) for step in steps}
        due = [step for step in steps if rows[step.id].status == "would_warm"]
        if not self._order.dry_run and due:
            actions = {step.id: replace(_action(plans[step.id]), listed=False) for step in due}
            self._warm(due, actions, rows)
        return self._report(list(rows.values()))

    def _steps(self) -> list[PlaybookStep]:
        found = [
            step
            for step in self._order.selection.of(self._order.playbook)
            if isinstance(step.step, CacheWarm) and step.enabled
        ]
        if not found:
            raise Misused(
                f"{self._order.playbook.path} has nothing to warm: no cache_warm step is enabled and selected in it",
                hint="name a playbook with cache_warm steps, such as playbooks/warm-cache.yml",
            )
        return found

    def _plans(self, steps: Sequence[PlaybookStep]) -> dict[str, Plan]:
        kinds = [cast("CacheWarm", step.step) for step in steps]
        facts = self._workspace.learn(kinds, lambda step, facts: step.warm_questions(facts))
        return {
            step.id: kind.warm_plan(facts, force=self._order.force) for step, kind in zip(steps, kinds, strict=True)
        }

    def _planned(self, step: PlaybookStep, plan: Plan) -> WarmedStep:
        if plan.status == "in_sync":
            return WarmedStep(step.id, step.name, "not_due", reason=plan.reason)
        if plan.status != "change":
            return WarmedStep(step.id, step.name, "failed", error=plan.reason, exit_code=BLOCKED_EXIT)
        return WarmedStep(step.id, step.name, "would_warm", keys=int(plan.before.get("rows", 0)), notes=plan.notes)

    def _warm(self, due: Sequence[PlaybookStep], actions: dict[str, WarmKeys], rows: dict[str, WarmedStep]) -> None:
        client = self._workspace.redis_client
        if client is None:
            raise AssertionError("a warm-up was planned although no Redis was named")
        with self._locked(client, [action.marker for action in actions.values()]), self._pace.watched(self._side):
            expected = {step.id: rows[step.id].keys for step in due}
            attempts = Attempts(self._workspace.dsn, client, self._breaker, self._pace, expected)
            with ThreadPoolExecutor(min(self._order.parallel, len(due)), "dbtune-warm") as pool:
                futures = {
                    pool.submit(attempts.warm, step, actions[step.id], self._teller(step)): step.id for step in due
                }
                self._await(futures)
            rows |= {step_id: future.result() for future, step_id in futures.items()}

    def _await(self, futures: dict[Future[WarmedStep], str]) -> None:
        """Until all have ended. An interrupt tells them to stop, and waits for their ledgers."""
        left = set(futures)
        while left:
            try:
                left = wait(left, timeout=_TICK_S, return_when=FIRST_COMPLETED).not_done
            except KeyboardInterrupt:
                self._pace.stop(Interrupted("interrupted", hint="the next run goes on from here"))

    @contextlib.contextmanager
    def _locked(self, client: Client, markers: Sequence[str]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            # In one order, so that two runs that share steps do not wait for each other.
            for marker in sorted(set(markers)):
                name, wait_s = lock_name(marker), self._order.lock_wait_s
                stack.enter_context(held(client, name, wait_s=wait_s, lost=self._pace.stop))
            yield

    def _side(self) -> Client:
        return connect_whole(self._order.redis_url)

    def _teller(self, step: PlaybookStep) -> Progress:
        def tell(text: str, fraction: float | None = None) -> None:
            self._progress(f"{step.name}: {text}", fraction)

        return tell

    def _report(self, rows: Sequence[WarmedStep]) -> WarmReport:
        interrupted = any(row.exit_code == INTERRUPTED_EXIT for row in rows)
        worst = max(_code(row) for row in rows)
        if worst and any(row.status == "warmed" for row in rows):
            worst = max(worst, FAILED_EXIT)
        return WarmReport(
            playbook=self._order.playbook.name,
            path=self._order.playbook.path,
            target=f"{self._workspace.target} to {describe_target(self._order.redis_url)}",
            started_at=self._started_at,
            duration_s=time.monotonic() - self._clock,
            steps=tuple(rows),
            dry_run=self._order.dry_run,
            circuit=self._breaker.state,
            exit_code=INTERRUPTED_EXIT if interrupted else worst,
            interrupted=interrupted,
        )


def _code(row: WarmedStep) -> int:
    if row.status != "failed":
        return 0
    if row.exit_code == INTERRUPTED_EXIT:
        return INTERRUPTED_EXIT
    # Unreachable before the first key is 3; after it, the change was made in part.
    return FAILED_EXIT if row.keys or row.failed else row.exit_code


def _action(plan: Plan) -> WarmKeys:
    return cast("WarmKeys", plan.actions[0])
