"""A step's effect, measured with and without it in turns: blocks in random order, so that drift falls on both alike."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dbtune.app.plan import plan_steps
from dbtune.app.recording import recording
from dbtune.app.targets import OpenTargets
from dbtune.app.workspace import opened
from dbtune.baseline.capture import Capture, Timing
from dbtune.baseline.comparison import compare
from dbtune.baseline.outcome import Comparison
from dbtune.baseline.probes import Probe, Statement, check_names
from dbtune.baseline.verdict import DEFAULT_MARGIN
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress, silent
from dbtune.playbook.model import PlaybookStep
from dbtune.servers.postgres.errors import describe_target
from dbtune.servers.postgres.session import Connection, connect
from dbtune.servers.postgres.switching import (
    Switchable,
    find_indexes,
    makes_a_difference,
    restored,
    set_for_session,
    switch,
)
from dbtune.steps.index import Index
from dbtune.steps.setting import Setting, as_text

_FEWEST, _MOST = 4, 200
ENGINE = "probe:sql, taking turns"


@dataclass(frozen=True, slots=True)
class Turns:
    """`blocks` a side, each of `repeat` executions of every probe. `disposable`: indexes may be switched there."""

    blocks: int = 8
    repeat: int = 40
    margin: float = DEFAULT_MARGIN
    seed: int | None = None
    disposable: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """What is on in one half of the blocks: indexes that exist, settings of a session."""

    indexes: tuple[Switchable, ...]
    settings: Mapping[str, str]


def interleave(
    targets: OpenTargets,
    steps: Sequence[PlaybookStep],
    probes: Sequence[Probe],
    turns: Turns,
    progress: Progress = silent,
) -> Comparison:
    """Without the steps (before) against with them (after). Leaves the server as it was.

    Raises Misused for steps that cannot be switched, that are not applied, or a server that is not disposable.
    """
    _check(probes, turns)
    started_at, clock = datetime.now(UTC), time.monotonic()
    dsn = targets.postgres or ""
    found = _switch(targets, steps, turns)
    order = _order(turns)
    values: dict[bool, dict[str, list[tuple[float, ...]]]] = {
        on: {probe.name: [] for probe in probes} for on in (False, True)
    }
    with contextlib.ExitStack() as stack:
        control = None
        if found.indexes:
            control = stack.enter_context(contextlib.closing(connect(dsn, read_only=False)))
            stack.enter_context(restored(control, found.indexes))
        for number, on in enumerate(order):
            progress(f"block {number + 1} of {len(order)}, {'with' if on else 'without'}", number / len(order))
            if control is not None:
                switch(control, found.indexes, on=on)
            for name, seconds in _block(dsn, found, probes, turns, on=on).items():
                values[on][name].append(seconds)
        plans = {on: _plans(dsn, control, found, probes, on=on) for on in (False, True)}
        with recording(replace(targets, redis=None)) as record:
            captures = {on: _capture(record.finish, dsn, values[on], plans[on], on=on) for on in (False, True)}
    judged = compare(captures[False], captures[True], margin=turns.margin, interleaved=True, started_at=started_at)
    return replace(judged, duration_s=time.monotonic() - clock)


def _check(probes: Sequence[Probe], turns: Turns) -> None:
    check_names(probes)
    if not probes or any(probe.sql is None for probe in probes):
        raise Misused("blocks that take turns need SQL to be timed", hint="give --probe 'feed=select …'")
    if not _FEWEST <= turns.blocks <= _MOST:
        raise Misused(f"--blocks {turns.blocks} is not between {_FEWEST} and {_MOST}")
    if not 1 <= turns.repeat <= 100_000:
        raise Misused(f"--repeat {turns.repeat} is not between 1 and 100000")


def _switch(targets: OpenTargets, steps: Sequence[PlaybookStep], turns: Turns) -> Switch:
    others = [step.name for step in steps if not isinstance(step.step, Index | Setting)]
    if others or not steps:
        what = f"{others[0]} cannot be switched on and off" if others else "no step is named"
        raise Misused(what, hint="index and setting steps can: choose them with --only ID")
    settings = {step.step.name: as_text(step.step.value) for step in steps if isinstance(step.step, Setting)}
    with contextlib.closing(connect(targets.postgres or "")) as session:
        idle = [name for name, value in settings.items() if not makes_a_difference(session, name, value)]
    if idle:
        raise Misused(f"{idle[0]} has this value in every session: there is nothing to switch",
                      hint="roll the step back first, or leave it out with --only")  # fmt: skip
    wanted = [step for step in steps if isinstance(step.step, Index)]
    if not wanted:
        return Switch((), settings)
    if not turns.disposable:
        raise Misused(
            "switching an index hides it from every session of the server for a while",
            hint="use a server that is not in production: --embedded, or --disposable to say that this one is not",
        )
    with opened(replace(targets, redis=None)) as workspace:
        workspace.refuse_replica()
        plans = plan_steps(workspace, wanted)
        missing = [step.name for step in wanted if plans[step.id].status != "in_sync"]
        if missing:
            raise Misused(f"the index of {missing[0]} is not there", hint="apply the playbook first: `dbtune apply`")
        names = [str(plans[step.id].before["index"]) for step in wanted]
        found = find_indexes(workspace.session, names)
    needed = [index.name for index in found if index.needed]
    if needed or len(found) < len(set(names)):
        raise Misused(f"{', '.join(needed or names)} cannot be switched: it is unique, or a constraint needs it")
    return Switch(found, settings)


def _order(turns: Turns) -> list[bool]:
    """Pairs of both sides, which of the two comes first being drawn."""
    generator = random.Random(turns.seed)  # noqa: S311 - not for secrets
    order: list[bool] = []
    for _ in range(turns.blocks):
        first = generator.random() < 0.5
        order += [first, not first]
    return order


def _session(dsn: str, found: Switch, *, on: bool) -> Connection:
    """A new one for each block: an old one keeps its plans."""
    session = connect(dsn)
    if on:
        set_for_session(session, found.settings)
    return session


def _block(dsn: str, found: Switch, probes: Sequence[Probe], turns: Turns, *, on: bool) -> dict[str, tuple[float, ...]]:
    from dbtune.servers.postgres.timing import time_statement

    with contextlib.closing(_session(dsn, found, on=on)) as session:
        return {
            probe.name: time_statement(
                session, probe.sql or "", probe.params, repeat=probe.repeat or turns.repeat, name=probe.name
            )
            for probe in probes
        }


def _plans(
    dsn: str, control: Connection | None, found: Switch, probes: Sequence[Probe], *, on: bool
) -> tuple[list[Statement], list[dict[str, object]]]:
    """EXPLAIN of each probe, as that side's session has it."""
    from dbtune.core.questions import Explained, Failed
    from dbtune.servers.postgres.answers import answer

    if control is not None:
        switch(control, found.indexes, on=on)
    statements, documents = [], []
    with contextlib.closing(_session(dsn, found, on=on)) as session:
        for probe in probes:
            question = Explained(probe.sql or "", probe.params)
            plan = answer(session, [question])[question]
            if not isinstance(plan, Failed):
                statements.append(Statement(probe.name, probe.sql or ""))
                documents.append(plan)
    return statements, documents


def _capture(
    finish: Callable[..., Capture],
    dsn: str,
    values: Mapping[str, Sequence[tuple[float, ...]]],
    plans: tuple[list[Statement], list[dict[str, object]]],
    *,
    on: bool,
) -> Capture:
    from dbtune.baseline.capture import NamedPlan

    return finish(
        "with" if on else "without",
        describe_target(dsn),
        timings=[Timing(name, tuple(blocks), ENGINE) for name, blocks in values.items()],
        plans=[NamedPlan(one.name, one.sql, plan) for one, plan in zip(*plans, strict=True)],
    )
