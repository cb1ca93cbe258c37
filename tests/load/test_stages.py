from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dbtune.load.stages import PROFILES, Stage, describe, parse_rate, segments, share_of
from dbtune.load.timeline import timeline


def stage(duration: str, **more: object) -> Stage:
    return Stage.model_validate({"duration": duration, **more})


def test_a_stage_with_clients_is_one_stretch() -> None:
    (only,) = segments([stage("30s", clients=8, rate="200/s")])
    assert (only.start_s, only.duration_s, only.clients, only.rate, only.stage) == (0.0, 30.0, 8, 200.0, 0)


def test_the_builtin_ramp_goes_to_a_hundred_clients_and_back_in_twelve_minutes() -> None:
    parts = segments(PROFILES["ramp"], whole_seconds=True)
    assert parts[-1].end_s == 12 * 60
    levels = [part.clients for part in parts]
    assert max(levels) == 100
    assert levels[0] >= 1
    assert levels[-1] < 10
    # A hundred clients hold for three minutes.
    assert sum(part.duration_s for part in parts if part.clients == 100) >= 180


def test_the_smoke_profile_is_short() -> None:
    assert sum(part.duration_s for part in segments(PROFILES["smoke"])) <= 10


def test_a_ramp_moves_step_by_step() -> None:
    parts = segments([stage("20s", target=8), stage("10s", target=0)])
    ups = [part.clients for part in parts if part.stage == 0]
    assert ups == sorted(ups)
    assert len(ups) == 4
    downs = [part.clients for part in parts if part.stage == 1]
    assert downs == sorted(downs, reverse=True)


@given(
    st.lists(st.tuples(st.floats(0.2, 400), st.integers(0, 200), st.booleans()), min_size=1, max_size=6),
    st.booleans(),
)
def test_stretches_follow_each_other_without_a_gap(written: list[tuple[float, int, bool]], whole: bool) -> None:  # noqa: FBT001
    stages = [
        Stage.model_validate({"duration": f"{length:.3f}s", "target" if ramps else "clients": level})
        for length, level, ramps in written
    ]
    parts = segments(stages, whole_seconds=whole)
    for before, after in pairwise(parts):
        assert before.end_s == pytest.approx(after.start_s)
    assert all(part.duration_s > 0 for part in parts)
    if whole:
        assert all(part.duration_s == int(part.duration_s) for part in parts)
    plan = timeline(parts)
    assert plan.blocks[0].start_s == 0
    assert plan.blocks[-1].end_s == pytest.approx(plan.end_s)
    assert {block.stage for block in plan.blocks} == {part.stage for part in parts}


@given(st.integers(1, 7), st.integers(1, 50), st.floats(1, 1000))
def test_the_workers_shares_are_the_whole(workers: int, clients: int, rate: float) -> None:
    parts = segments([Stage.model_validate({"duration": "5s", "clients": clients, "rate": rate})])
    shares = [share_of(parts, worker, workers)[0] for worker in range(1, workers + 1)]
    assert sum(share.clients for share in shares) == clients
    assert sum(share.rate or 0 for share in shares if share.clients) == pytest.approx(rate)


def test_a_warm_up_comes_before_and_is_not_measured() -> None:
    parts = segments([stage("5s", target=4)], warm_up_s=2)
    assert (parts[0].start_s, parts[0].stage) == (-2.0, -1)
    assert parts[0].clients >= 1
    assert timeline(parts).blocks[0].start_s == 0


def test_blocks_are_six_or_more_and_one_at_least_for_each_stage() -> None:
    assert len(timeline(segments([stage("30s", clients=2)])).blocks) == 6
    plan = timeline(segments([stage("1s", clients=1), stage("60s", clients=2)]))
    assert [block.stage for block in plan.blocks].count(0) == 1
    assert len(plan.blocks) >= 7


def test_where_times_are_known_by_the_second_blocks_are_whole_seconds() -> None:
    short = timeline(segments([stage("1s", clients=1), stage("2s", clients=2)], whole_seconds=True), whole_seconds=True)
    assert [(block.start_s, block.end_s) for block in short.blocks] == [(0, 1), (1, 2), (2, 3)]
    smoke = timeline(segments(PROFILES["smoke"], whole_seconds=True), whole_seconds=True)
    assert [block.end_s - block.start_s for block in smoke.blocks] == [2, 1, 2, 1, 2, 1, 1]
    assert len(timeline(segments([stage("1s", clients=1)])).blocks) == 6


@pytest.mark.parametrize(("text", "per_s"), [("200/s", 200), (5, 5), ("600/min", 10), ("36 / h", 0.01), ("1.5", 1.5)])
def test_rates_are_per_second(text: str | int, per_s: float) -> None:
    assert parse_rate(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "5/d", "nan", True, "1e400"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    "more", [{}, {"clients": 1, "target": 2}, {"clients": -1}, {"clients": 10**6}, {"clients": 1, "rate": "0/s"}]
)
def test_an_impossible_stage_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        stage("1s", **more)


def test_a_profile_is_told_in_words() -> None:
    words = describe([stage("30s", clients=8, rate="200/s"), stage("2min", target=1)], warm_up_s=5)
    assert words == "5s warm-up, 30s 8 clients at 200/s, 2m00s to 1 client"
