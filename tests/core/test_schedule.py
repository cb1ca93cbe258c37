"""Intervals as clocks say them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.core.schedule import EARLY, Job, Task, jobs, late, tick

WEEK_M = 7 * 24 * 60


def starts(job: Job) -> list[int]:
    """The minutes of a week in which cron starts it."""
    minute, hour, *rest = job.cron.split()
    assert rest == ["*", "*", "*"]
    return [m for m in range(WEEK_M) if _matches(minute, m % 60, 59) and _matches(hour, m // 60 % 24, 23)]


def _matches(field: str, value: int, last: int) -> bool:
    span, _, step = field.partition("/")
    low, _, high = span.partition("-")
    if span == "*":
        return value % int(step or 1) == 0
    if not high and not step:
        return value == int(low)
    return int(low) <= value <= int(high or last) and (value - int(low)) % int(step or 1) == 0


def runs(job: Job) -> list[int]:
    """The minutes in which a start finds the step due."""
    found: list[int] = []
    for minute in starts(job):
        if not found or (minute - found[-1]) * 60 >= EARLY * job.every_s:
            found.append(minute)
    return found


@given(every_m=st.integers(1, 24 * 60), others=st.sets(st.integers(1, 24 * 60), max_size=5))
def test_a_step_runs_as_often_as_it_is_wanted_or_the_lateness_is_said(every_m: int, others: set[int]) -> None:
    tasks = [Task(f"t{minutes}", "", minutes * 60) for minutes in {every_m, *others}]
    job = next(job for job in jobs("p", tasks) if job.every_s == every_m * 60)
    done = runs(job)
    gaps = [later - earlier for earlier, later in itertools.pairwise(done)]
    assert max(gaps) * 60 <= every_m * 60 + late(job)


@pytest.mark.parametrize(
    ("every_s", "expected"),
    [
        (300, 300),
        (2700, 900),
        (1800, 1800),
        (7200, 7200),
        (5400, 1800),
        (86400, 86400),
        (129600, 43200),
        (30, 60),
        (420, 60),
    ],
)
def test_the_tick_is_the_longest_that_meets_the_interval(every_s: float, expected: int) -> None:
    assert tick(every_s) == expected


@pytest.mark.parametrize(
    ("every_s", "cron", "calendar"),
    [
        (300, "*/5 * * * *", "*-*-* *:00/5:00"),
        (60, "* * * * *", "*-*-* *:00/1:00"),
        (3600, "0 * * * *", "*-*-* *:00:00"),
        (7200, "0 */2 * * *", "*-*-* 00/2:00:00"),
        (86400, "0 0 * * *", "*-*-* 00:00:00"),
    ],
)
def test_intervals_as_cron_and_systemd_say_them(every_s: float, cron: str, calendar: str) -> None:
    (job,) = jobs("p", [Task("a", "", every_s)])
    assert (job.cron, job.calendar) == (cron, calendar)


def test_a_systemd_delay_never_makes_the_next_run_come_before_it_is_due() -> None:
    for every_s in (60, 300, 1800, 86400):
        (job,) = jobs("p", [Task("a", "", every_s)])
        assert every_s - job.delay_s >= EARLY * every_s or every_s == 60


def test_jobs_of_one_playbook_begin_in_different_minutes_and_have_names_that_kubernetes_takes() -> None:
    made = jobs("Ein Shop: Käse & Brot " * 5, [Task(f"t{s}", "", s) for s in (300, 900, 1800, 7200)])
    assert len({job.offset_s for job in made}) == 4
    assert all(len(job.name) <= 52 and job.name.replace("-", "").isalnum() for job in made)


def test_below_a_minute_the_lateness_is_said() -> None:
    (job,) = jobs("p", [Task("a", "", 30)])
    assert (job.cron, late(job)) == ("* * * * *", 30)
