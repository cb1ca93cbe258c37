"""Timed probes: statements and Python flows, one after the other."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import Timing
from dbtune.baseline.probes import Probe, block_sizes
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress

if TYPE_CHECKING:
    from dbtune.servers.postgres.session import Connection


ROUND_S = 0.1
"""From one block of a probe to its next one, at least: a disturbance of the machine must not last for all of them."""
WARM_AGAIN = 1
"""Calls that a later block does not count: other probes ran since."""


def time_probes(
    dsn: str,
    probes: Sequence[Probe],
    flows: Mapping[str, Callable[[], object]],
    repeat: int,
    *,
    allow_writes: bool,
    progress: Progress,
) -> list[Timing]:
    """`flows` by the names of those probes that are one. Statements are read only unless writes are allowed.

    All probes take turns, block by block, and the blocks are spread over time: what disturbs one of them shows as a
    difference between blocks, and is not taken for the level of the run.
    """
    from dbtune.servers.postgres.session import connect

    sizes = {probe.name: block_sizes(probe.repeat or repeat) for probe in probes}
    blocks: dict[str, list[tuple[float, ...]]] = {probe.name: [] for probe in probes}
    with contextlib.ExitStack() as stack:
        session: Connection | None = None
        if any(probe.sql is not None for probe in probes):
            session = stack.enter_context(contextlib.closing(connect(dsn, read_only=not allow_writes)))
        rounds = max(map(len, sizes.values()), default=0)
        for number in range(rounds):
            start = time.monotonic()
            for place, probe in enumerate(probes):
                if number < len(sizes[probe.name]):
                    within = part_of(progress, number + place / len(probes), 1 / len(probes), rounds)
                    turn = _Turn(sizes[probe.name][number], WARM_AGAIN if number else None, within)
                    blocks[probe.name].append(_block(probe, session, flows, turn))
            if number + 1 < rounds:
                time.sleep(max(start + ROUND_S - time.monotonic(), 0.0))
    return [
        Timing(probe.name, tuple(blocks[probe.name]), "probe:flow" if probe.sql is None else "probe:sql")
        for probe in probes
    ]


@dataclass(frozen=True, slots=True)
class _Turn:
    """One block: its calls, how many go before that are not counted (None: as many as for a fresh session)."""

    calls: int
    warm_up: int | None
    progress: Progress


def _block(
    probe: Probe, session: Connection | None, flows: Mapping[str, Callable[[], object]], turn: _Turn
) -> tuple[float, ...]:
    from dbtune.servers.postgres.timing import WARM_UP, time_calls, time_statement

    warm_up = WARM_UP if turn.warm_up is None else turn.warm_up
    if probe.sql is None or session is None:
        run = flows[probe.name]
        return time_calls(run, repeat=turn.calls, warm_up=warm_up, name=probe.name, progress=turn.progress)
    return time_statement(
        session, probe.sql, probe.params,
        repeat=turn.calls, warm_up=warm_up, name=probe.name, progress=turn.progress,
    )  # fmt: skip


def part_of(progress: Progress, start: float, width: float, whole: float) -> Progress:
    """Progress of a part of the work, from `start` on, as progress of the whole."""

    def within(text: str, fraction: float | None = None) -> None:
        progress(text, (start + (fraction or 0.0) * width) / whole)

    return within


def load_flow(place: str, targets: OpenTargets) -> Callable[[], object]:
    """The callable that `function(postgres_dsn, redis_url)` makes. Modules of the current directory are found too."""
    module, _, function = place.partition(":")
    hint = "name it as module:function, where function(postgres_dsn, redis_url) returns what is to be timed"
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds strings
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise Misused(f"the flow {place!r} cannot be loaded: {error}", hint=hint) from error
    flow = make(targets.postgres, targets.redis)
    if not callable(flow):
        raise Misused(f"the flow {place!r} returned {type(flow).__name__}, which cannot be called", hint=hint)
    run: Callable[[], object] = flow
    return run
