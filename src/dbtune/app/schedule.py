"""From the `every:` of a playbook's warm-ups to jobs for a clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dbtune.core.errors import Misused
from dbtune.core.schedule import Schedule, Task, jobs
from dbtune.playbook.model import Playbook
from dbtune.steps.cache_warm import CacheWarm


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where things lie on the machine that will run it: the program, a file of variables, a directory for metrics."""

    program: Path
    environment: Path | None = None
    metrics: Path | None = None
    image: str = "dbtune"


def make_schedule(playbook: Playbook, surroundings: Surroundings) -> Schedule:
    """A step without `every` is warmed when half of its TTL is over. Raises Misused without a warm-up."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    tasks = tuple(
        Task(step.id, step.name, step.step.every or step.step.ttl / 2)
        for step in playbook.steps
        if step.enabled and isinstance(step.step, CacheWarm)
    )
    if not tasks:
        raise Misused(
            f"{playbook.path} has nothing to run by the clock: no cache_warm step is enabled in it",
            hint="name a playbook with cache_warm steps, such as playbooks/product-catalog.yml",
        )
    path = str(Path(playbook.path).resolve())
    files = (path, surroundings.program, surroundings.environment, surroundings.metrics)
    for name in files:
        if name is not None and any(char in str(name) for char in "\n\r\0"):
            raise Misused(f"{str(name)!r} has a line break in it, which no crontab can hold", hint="rename the file")
    return Schedule(
        playbook=playbook.name,
        path=path,
        program=str(surroundings.program),
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        jobs=jobs(playbook.name, tasks),
        environment=_text(surroundings.environment),
        metrics=_text(surroundings.metrics),
        image=surroundings.image,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
