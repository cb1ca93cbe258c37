# ruff: noqa: S311 - seeded on purpose: a run can be repeated
"""Regression on several causes at once: what is taken up, with which slope, and what chance alone would bring."""

from __future__ import annotations

from random import Random

import pytest

from dbtune.nplusone.joint import REST, Term, chance_of, left_over_at_most_once, regress

LISTS = (101.0, 230.0, 44.0, 163.0, 301.0, 117.0, 80.0, 190.0, 22.0, 140.0, 260.0, 90.0)
OTHERS = (50.0, 170.0, 90.0, 155.0, 45.0, 75.0, 160.0, 20.0, 110.0, 65.0, 30.0, 140.0)
SESSIONS = (30.0, 21.0, 44.0, 18.0, 27.0, 39.0, 12.0, 33.0, 25.0, 41.0, 16.0, 28.0)
EVERY = Term((1.0,) * 12, REST)


def added(*counts: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(column) for column in zip(*counts, strict=True))


def test_each_of_several_causes_gets_its_own_slope_beside_what_comes_in_every_window() -> None:
    calls = added(LISTS, tuple(one / 2 for one in OTHERS), SESSIONS, (9.0,) * 12)
    parts = regress(calls, [Term(LISTS, 0), Term(OTHERS, 1), Term(SESSIONS, 2), EVERY])
    assert {part.at: round(part.slope, 3) for part in parts} == {0: 1.0, 1: 0.5, 2: 1.0, 3: 9.0}
    assert all(part.chance < 0.001 for part in parts if part.at != 3)


def test_of_several_ways_to_count_the_same_rows_one_is_taken() -> None:
    parts = regress(LISTS, [Term(OTHERS, 0), Term(tuple(2 * one for one in LISTS), 1), Term(LISTS, 1)])
    assert [part.at for part in parts] in ([1], [2])


def test_unrelated_counts_pass_for_a_cause_no_more_often_than_the_chance_says() -> None:
    draw = Random(1)
    found = 0
    for _ in range(400):
        calls = tuple(float(draw.randint(0, 40)) for _ in range(12))
        rows = tuple(float(draw.randint(0, 400)) for _ in range(12))
        found += any(part.at == 0 and part.chance <= 0.01 for part in regress(calls, [Term(rows, 0), EVERY]))
    assert found <= 16


def test_with_as_many_causes_as_windows_none_is_believed() -> None:
    assert len(regress((9.0, 4.0, 7.0), [Term((1.0, 2.0, 0.0), 0), Term((0.0, 1.0, 5.0), 1), Term((3, 0, 1), 2)])) <= 1


@pytest.mark.parametrize(
    ("t", "freedom", "chance"),
    [(6.314, 1, 0.05), (2.920, 2, 0.05), (4.541, 3, 0.01), (2.015, 5, 0.05), (3.143, 6, 0.01), (1.812, 10, 0.05)],
)
def test_chances_are_those_of_the_tables_of_student(t: float, freedom: int, chance: float) -> None:
    assert chance_of(t, freedom) == pytest.approx(chance, abs=0.0002)


def test_a_depth_of_two_is_seen_when_nothing_may_count_more_than_once() -> None:
    once, twice = added(SESSIONS, (5.0,) * 12), added(SESSIONS, SESSIONS)
    assert left_over_at_most_once(once, [Term(SESSIONS, 0)], rest=EVERY) == pytest.approx(0, abs=0.01)
    assert left_over_at_most_once(twice, [Term(SESSIONS, 0)], rest=EVERY) > 12
