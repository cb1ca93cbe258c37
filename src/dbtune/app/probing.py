"""Timed probes: statements and Python flows, one after the other."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import Timing
from dbtune.baseline.probes import Probe, into_blocks
from dbtune.core.errors import Misused
from dbtune.core.progress import Progress

if TYPE_CHECKING:
    from dbtune.servers.postgres.session import Connection


def time_probes(
    dsn: str,
    probes: Sequence[Probe],
    flows: Mapping[str, Callable[[], object]],
    repeat: int,
    *,
    allow_writes: bool,
    progress: Progress,
) -> list[Timing]:
    """`flows` by the names of those probes that are one. Statements are read only unless writes are allowed."""
    from dbtune.servers.postgres.session import connect
    from dbtune.servers.postgres.timing import time_calls, time_statement

    timings = []
    with contextlib.ExitStack() as stack:
        session: Connection | None = None
        for probe in probes:
            times = probe.repeat or repeat
            if probe.sql is None:
                values = time_calls(flows[probe.name], repeat=times, name=probe.name, progress=progress)
            else:
                if session is None:
                    session = stack.enter_context(contextlib.closing(connect(dsn, read_only=not allow_writes)))
                values = time_statement(
                    session, probe.sql, probe.params, repeat=times, name=probe.name, progress=progress
                )
            engine = "probe:flow" if probe.sql is None else "probe:sql"
            timings.append(Timing(probe.name, into_blocks(values), engine))
    return timings


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
