"""When a playbook's warm-ups run: jobs, and how cron and systemd say their intervals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

EARLY = 0.95
"""A step counts as due once this part of its interval has passed (`steps.cache_warm`)."""
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
# What divides an hour or a day: cron's steps begin anew with each.
_TICKS_S = tuple(60 * minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)) + tuple(
    3600 * hours for hours in (1, 2, 3, 4, 6, 8, 12, 24)
)
MOST_DELAY_S = 60


@dataclass(frozen=True, slots=True)
class Task:
    """One enabled step of a playbook and how often it is wanted, in seconds."""

    id: str
    name: str
    every_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """The steps of one interval. It is started every `tick_s`, a whole part of the interval that a clock can say;
    what is not due yet is left alone then. `offset_s` keeps jobs of one playbook from starting together.
    """

    name: str
    every_s: float
    tick_s: int
    offset_s: int
    tasks: tuple[Task, ...]

    @property
    def label(self) -> str:
        """The interval in words: `5min`, `2h`."""
        return self.name.rpartition("-")[2]

    @property
    def cron(self) -> str:
        """The five fields."""
        minute, tick_m = self.offset_s // MINUTE_S, self.tick_s // MINUTE_S
        if self.tick_s < HOUR_S:
            first = minute % tick_m
            return f"{f'{first}-59' if first else '*'}/{tick_m} * * * *" if tick_m > 1 else "* * * * *"
        hours = self.tick_s // HOUR_S
        if hours == 24:
            return f"{minute} 0 * * *"
        return f"{minute} {f'*/{hours}' if hours > 1 else '*'} * * *"

    @property
    def calendar(self) -> str:
        """The same as OnCalendar= of systemd takes it."""
        minute, tick_m = self.offset_s // MINUTE_S, self.tick_s // MINUTE_S
        if self.tick_s < HOUR_S:
            return f"*-*-* *:{minute % tick_m:02d}/{tick_m}:00"
        hours = self.tick_s // HOUR_S
        if hours == 24:
            return f"*-*-* 00:{minute:02d}:00"
        return f"*-*-* {f'00/{hours}' if hours > 1 else '*'}:{minute:02d}:00"

    @property
    def delay_s(self) -> int:
        """How much later than its time a run may begin: any more, and the next one would come before it is due."""
        return max(1, int(min(MOST_DELAY_S, (1 - EARLY) * 0.8 * self.every_s)))


@dataclass(frozen=True, slots=True)
class Schedule:
    """`program` and `path` are absolute; `environment` is a file with DATABASE_URL and REDIS_URL, or None."""

    playbook: str
    path: str
    program: str
    started_at: datetime
    duration_s: float
    jobs: tuple[Job, ...]
    environment: str | None = None
    metrics: str | None = None
    image: str = "dbtune"

    def command(self, job: Job) -> tuple[str, ...]:
        """What runs at each tick, word by word."""
        words = [self.program, "warm", self.path]
        words += [word for task in job.tasks for word in ("--only", task.id)]
        words += ["--lock-wait", f"{max(1, round(job.tick_s / 2))}s", "--quiet"]
        return (*words, *(("--metrics-file", f"{self.metrics}/{job.name}.prom") if self.metrics else ()))


def jobs(playbook: str, tasks: Iterable[Task]) -> tuple[Job, ...]:
    """One job for each interval, the shortest first."""
    by_interval: dict[float, list[Task]] = {}
    for task in tasks:
        by_interval.setdefault(task.every_s, []).append(task)
    slug = re.sub(r"[^a-z0-9]+", "-", playbook.lower()).strip("-")[:30].rstrip("-") or "playbook"
    found: list[Job] = []
    for place, every_s in enumerate(sorted(by_interval)):
        tick_s = tick(every_s)
        offset_s = place * MINUTE_S % min(tick_s, HOUR_S)
        found.append(Job(f"dbtune-{slug}-{_label(every_s)}", every_s, tick_s, offset_s, tuple(by_interval[every_s])))
    return tuple(found)


def tick(every_s: float) -> int:
    """The longest interval of a clock of which some multiple comes when the step is due, and not after.

    A minute where none does: cron knows nothing shorter.
    """
    return next((tick_s for tick_s in reversed(_TICKS_S) if _fits(tick_s, every_s)), MINUTE_S)


def late(job: Job) -> float:
    """By how many seconds a run comes after its interval, since no clock is so fine; 0 where it does not."""
    times = -(-EARLY * job.every_s // job.tick_s)
    return max(0.0, times * job.tick_s - job.every_s)


def _fits(tick_s: int, every_s: float) -> bool:
    times = -(-EARLY * every_s // tick_s)
    return times * tick_s <= every_s


def _label(every_s: float) -> str:
    """`5min`, `2h`, `90min`, `36h`, `7s`: short, and different for different intervals."""
    for unit, size in (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S)):
        if every_s >= size and every_s % size == 0:
            return f"{every_s / size:.0f}{unit}"
    return f"{every_s:g}s".replace(".", "p")


def quoted(words: Sequence[str]) -> str:
    """For /bin/sh."""
    import shlex

    return " ".join(map(shlex.quote, words))
