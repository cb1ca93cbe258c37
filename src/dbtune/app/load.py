"""Putting load on, stage by stage, and judging it by its thresholds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.app.load_engines import Engine, engine_for
from dbtune.app.load_watch import Watcher
from dbtune.app.selection import Selection
from dbtune.app.targets import Need
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress
from dbtune.core.secrets import mask_password
from dbtune.load.judgement import judge
from dbtune.load.live import Ended
from dbtune.load.recorder import Recorder
from dbtune.load.report import LoadOutcome, LoadReport, by_stage
from dbtune.load.stages import Profile, Segment, describe, segments, share_of
from dbtune.load.timeline import timeline
from dbtune.playbook.model import Playbook, PlaybookStep
from dbtune.steps.load import Load

if TYPE_CHECKING:
    from dbtune.app.recording import Recording
    from dbtune.app.targets import OpenTargets
    from dbtune.baseline.capture import Capture
    from dbtune.baseline.load_result import LoadResult


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What is asked of a load. `profile` replaces the stages, `worker` is (number, of how many)."""

    playbook: Playbook
    selection: Selection = field(default_factory=Selection)
    profile: Profile | None = None
    worker: tuple[int, int] | None = None
    baseline: Capture | None = None


def chosen_loads(order: LoadOrder) -> tuple[PlaybookStep, ...]:
    """The load steps that are asked for and switched on. Raises Misused where there is none, before any work."""
    chosen = [step for step in order.selection.of(order.playbook) if isinstance(step.step, Load)]
    if not chosen:
        raise Misused(f"{order.playbook.path} has no load among these steps", hint="add a step of the kind `load`")
    enabled = tuple(_with_profile(step, order.profile) for step in chosen if step.enabled)
    if not enabled:
        raise Misused(f"every load of {order.playbook.path} is switched off by its `when`", hint="change a --var")
    for step in enabled:
        _refuse_without_baseline(step, order.baseline)
    return enabled


def run_loads(
    targets: OpenTargets, order: LoadOrder, progress: Progress, recording: Recording | None = None
) -> LoadReport:
    """Raises what a load's engine raises before its first request; later failures are in the report."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    outcomes: list[LoadOutcome] = []
    interrupted = False
    for step in chosen_loads(order):
        outcome, interrupted = _Loading(targets, order, step, progress, recording).run()
        outcomes.append(outcome)
        if interrupted:
            break
    return LoadReport(
        playbook=order.playbook.path,
        target=_target(targets, [_load_of(step) for step in chosen_loads(order)]),
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        loads=tuple(outcomes),
        worker=order.worker,
        interrupted=interrupted,
    )


@dataclass(frozen=True, slots=True)
class Needs:
    """Which servers have to be named."""

    postgres: Need
    redis: Need


def needs(order: LoadOrder, *, capturing: bool) -> Needs:
    """SQL needs PostgreSQL, a flow takes what is named, requests go elsewhere. Raises Misused as `chosen_loads`."""
    engines = {_load_of(step).chosen_engine for step in chosen_loads(order)}
    if capturing or "pgbench" in engines:
        return Needs(Need.REQUIRED, Need.IF_NAMED)
    return Needs(Need.IF_NAMED, Need.IF_NAMED) if "python" in engines else Needs(Need.NONE, Need.NONE)


def intention(targets: OpenTargets, order: LoadOrder) -> str:
    """The question to a person: what would be done, to what."""
    loads = [_load_of(step) for step in chosen_loads(order)]
    what = "; ".join(f"{load.title()}: {describe(load.chosen_stages) or 'its own stages'}" for load in loads)
    return f"Load {_target(targets, loads)}? ({what})"


def run_into_capture(
    targets: OpenTargets, order: LoadOrder, progress: Progress, name: str, directory: Path
) -> LoadReport:
    """As `run_loads`, with the servers' counters watched meanwhile, and all of it stored as a baseline."""
    from dbtune.app.baseline_store import save
    from dbtune.app.recording import recording
    from dbtune.baseline.document import check_name
    from dbtune.servers.postgres.errors import describe_target

    check_name(name)
    with recording(targets) as record:
        report = run_as_traffic(targets, order, progress, record)
        if report.results and not report.interrupted:
            save(record.finish(name, describe_target(targets.postgres or ""), loads=report.results), directory)
    return report


def run_as_traffic(targets: OpenTargets, order: LoadOrder, progress: Progress, recording: Recording) -> LoadReport:
    """The loads of a playbook as the traffic that `recording` watches: it takes its snapshots between their blocks.

    What belongs into the capture is `results` of the report; nothing of one that was `interrupted` does. Raises as
    `run_loads`, and Misused for a worker's share, whose times are a part of a stream.
    """
    if order.worker is not None:
        raise Misused("a worker's share is no baseline", hint="run the whole load, or merge the workers' results")
    return run_loads(targets, order, progress, recording)


class _Loading:
    """One load under way."""

    def __init__(
        self,
        targets: OpenTargets,
        order: LoadOrder,
        step: PlaybookStep,
        progress: Progress,
        recording: Recording | None,
    ) -> None:
        self._targets, self._order, self._step, self._load = targets, order, step, _load_of(step)
        self._progress, self._recording = progress, recording
        self._ended: list[Ended] = []

    def run(self) -> tuple[LoadOutcome, bool]:
        """The outcome, and whether a person or a signal ended it."""
        load, started_at = self._load, datetime.now(UTC)
        with ExitStack() as stack:
            engine = stack.enter_context(
                engine_for(
                    load,
                    self._targets,
                    Path(self._order.playbook.path).parent,
                    mark=secrets.token_hex(4),
                    worker=self._order.worker,
                )
            )
            parts = engine.parts or segments(
                load.chosen_stages, warm_up_s=load.warm_up, whole_seconds=engine.whole_seconds
            )
            if self._order.worker is not None:
                parts = share_of(parts, *self._order.worker)
            recorder = Recorder(load.streams, timeline(parts, whole_seconds=engine.whole_seconds))
            watcher = Watcher(
                self._step.name, load.expectations, recorder, self._progress,
                recording=self._recording, baseline=self._order.baseline,
            )  # fmt: skip
            interrupted = whole = False
            try:
                self._carry_out(engine, parts, recorder, watcher)
                whole = not any(ended.stopped or ended.broken for ended in self._ended)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                if not whole:
                    engine.cancel()
        return self._outcome(engine, parts, recorder, watcher, started_at, interrupted=interrupted), interrupted

    def _carry_out(self, engine: Engine, parts: Sequence[Segment], recorder: Recorder, watcher: Watcher) -> None:
        watcher.snapshot()
        for ended in engine.run(parts, recorder, watcher):
            self._ended.append(ended)
            watcher.snapshot()
            if ended.stopped or ended.broken:
                break

    def _outcome(
        self,
        engine: Engine,
        parts: Sequence[Segment],
        recorder: Recorder,
        watcher: Watcher,
        started_at: datetime,
        *,
        interrupted: bool,
    ) -> LoadOutcome:
        load = self._load
        is_open = any(part.rate is not None for part in parts)
        stages = load.chosen_stages
        profile = describe(stages, warm_up_s=load.warm_up) if stages else "the script's own stages"
        result = recorder.result(self._step.id, engine.title, "open" if is_open else "closed", profile)
        broken = tuple(dict.fromkeys(mask_password(text) for ended in self._ended for text in ended.broken))
        if interrupted:
            broken = (*broken, "interrupted before its end")
        judged = judge(load.expectations, result, self._order.baseline, aborted=watcher.aborted)
        return LoadOutcome(
            id=self._step.id,
            name=self._step.name,
            result=result,
            stages=by_stage(result, tuple(describe([stage]) for stage in stages)),
            thresholds=judged,
            broken=broken,
            notes=(*engine.notes, *_remarks(result, recorder.share_of_zeros())),
            engine_version=engine.version,
            started_at=started_at,
            cells={place: dict(cell.times) for place, cell in recorder.cells.items()} if self._order.worker else {},
            expectations=load.expectations,
        )


def _load_of(step: PlaybookStep) -> Load:
    if isinstance(step.step, Load):
        return step.step
    raise AssertionError(f"{step.kind} is no load")


def _with_profile(step: PlaybookStep, profile: Profile | None) -> PlaybookStep:
    if profile is None or not isinstance(step.step, Load):
        return step
    if step.step.script is not None:
        raise Misused(f"{step.name}: a k6 script has its own stages", hint="leave --profile out")
    return replace(step, step=step.step.model_copy(update={"profile": profile, "stages": (), "warm_up": 0.0}))


def _refuse_without_baseline(step: PlaybookStep, baseline: Capture | None) -> None:
    if baseline is not None or not isinstance(step.step, Load):
        return
    relative = [text for expected in step.step.expectations if expected.relative for text in [expected.text]]
    if relative:
        raise Misused(
            f"{step.name}: {relative[0]} needs a baseline to compare with",
            hint="give --baseline NAME, made by `dbtune load --capture NAME`",
        )


def _remarks(result: LoadResult, zeros: float) -> tuple[str, ...]:
    found = []
    if result.mode == "closed":
        found.append(
            "a closed loop: while the server stalls nobody asks, so stalls count little; a stage with a rate shows them"
        )
    if zeros > 0.01:
        found.append(
            f"{zeros:.0%} of the times are 0 µs: pgbench reads its clock once for several answers,"
            " so that times near it are not exact"
        )
    return tuple(found)


def _target(targets: OpenTargets, loads: Sequence[Load]) -> str:
    """What was loaded, in words and without passwords."""
    from urllib.parse import urlsplit

    from dbtune.servers.postgres.errors import describe_target

    hosts = [urlsplit(endpoint.url).hostname or "" for load in loads for endpoint in load.endpoints.values()]
    found = list(dict.fromkeys(hosts)) or [load.script for load in loads if load.script]
    if any(load.scripts for load in loads) and targets.postgres is not None:
        found.insert(0, describe_target(targets.postgres))
    return ", ".join(text for text in found if text) or "localhost"
