"""Tests over ranks, against the tables that textbooks print."""

from __future__ import annotations

import random

import pytest

from dbtune.baseline.ranks import apart, one_sided_pairs


@pytest.mark.parametrize(
    ("before", "after", "p"),
    [
        ([1, 2, 3, 4], [5, 6, 7, 8], 2 / 70),
        ([5, 6, 7, 8], [1, 2, 3, 4], 2 / 70),
        ([1, 2, 3], [4, 5, 6], 0.1),
        # U = 5 of 6 + 6: the largest that a table of the 5 % level has.
        ([1, 2, 3, 4, 5, 12], [6, 7, 8, 9, 10, 13], 0.0411),
        ([1, 3, 5], [2, 4, 6], 0.7),
    ],
)
def test_mann_and_whitneys_u_has_the_p_of_the_tables(before: list[float], after: list[float], p: float) -> None:
    assert apart([(before, after)]).p == pytest.approx(p, abs=5e-4)


@pytest.mark.parametrize(
    ("differences", "p"),
    [([1, 2, 3, 4, 5, 6], 2 / 64), ([-1, 2, 3, 4, 5, 6], 4 / 64), ([-1, -2, 3, 4, 5, 6, 7, 8], 0.0391)],
)
def test_wilcoxons_signed_ranks_have_the_p_of_the_tables(differences: list[float], p: float) -> None:
    assert one_sided_pairs(differences).p == pytest.approx(p, abs=5e-4)


def test_equal_blocks_are_no_difference() -> None:
    assert apart([([1.0] * 6, [1.0] * 6)]).p == 1
    assert one_sided_pairs([0.0] * 6).p == 1


def test_each_stage_is_compared_with_itself() -> None:
    """At 100 clients everything is slower than at 10, before and after: together the ranks would hide the change."""
    stages = [([1.0, 1.1, 1.2], [2.0, 2.1, 2.2]), ([10.0, 10.1, 10.2], [20.0, 20.1, 20.2])]
    together = [
        ([value for before, _ in stages for value in before], [value for _, after in stages for value in after])
    ]
    assert apart(stages).p == pytest.approx(2 / 400)
    assert apart(together).p > 0.05


def test_many_blocks_get_the_same_answer_from_the_normal_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(5)  # noqa: S311 - repeatable
    before, after = ([generator.gauss(mean, 1) for _ in range(30)] for mean in (0.0, 0.45))
    pairs = [new - old for old, new in zip(before, after, strict=True)]
    exact = apart([(before, after)]), one_sided_pairs(pairs)
    monkeypatch.setattr("dbtune.baseline.ranks._EXACT", 0)
    monkeypatch.setattr("dbtune.baseline.ranks._EXACT_PAIRS", 0)
    near = apart([(before, after)]), one_sided_pairs(pairs)
    assert [found.least > 0 for found in (*exact, *near)] == [True, True, False, False]
    assert [found.p for found in near] == pytest.approx([found.p for found in exact], abs=0.005)


def test_three_blocks_a_side_must_lie_wholly_apart() -> None:
    assert not apart([([1, 2, 3], [4, 5, 6])]).disagree(0.05)
    assert apart([([1, 2, 4], [3, 5, 6])]).disagree(0.05)
