"""Loads of two captures: what is judged, what is refused, and what the trust panel says of them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbtune.baseline import histogram
from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint
from dbtune.baseline.comparison import compare
from dbtune.baseline.document import from_json, to_json
from dbtune.baseline.gates import parse
from dbtune.baseline.load_result import LoadBlock, LoadResult, LoadStream
from dbtune.baseline.outcome import Comparison, Metric
from dbtune.baseline.readings import readings, readings_of_load
from dbtune.core.errors import Misused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRINT = Fingerprint(180006, "app", 5, "71", NOW, 1 << 30, None, {})


def load(factor: float = 1.0, *, stages: tuple[float, ...] = (1.0,), seed: int = 1, **changes: object) -> LoadResult:
    """Six blocks a stage of 500 requests; a stage multiplies the latency."""
    generator = random.Random(seed)  # noqa: S311 - repeatable
    blocks: list[LoadBlock] = []
    for stage, level in enumerate(stages):
        for _ in range(6):
            drift = generator.lognormvariate(0, 0.01)
            values = [generator.lognormvariate(-6, 0.4) * factor * level * drift for _ in range(500)]
            blocks.append(
                LoadBlock(len(blocks) * 5.0, 5.0, 500, 0, 0, histogram.of_values(values), stage=stage, clients=8)
            )
    made = LoadResult("load", "pgbench prepared", "closed", "30s 8 clients", tuple(blocks))
    return replace(made, **changes)  # type: ignore[arg-type]


def capture(name: str, *loads: LoadResult) -> Capture:
    return Capture(SCHEMA, "0.1.0", name, "app@db", NOW, 30.0, PRINT, loads=loads)


def judge(before: LoadResult, after: LoadResult, *gates: str) -> Comparison:
    return compare(capture("a", before), capture("b", after), gates=[parse(gate) for gate in gates], started_at=NOW)


def metric(found: Comparison, name: str) -> Metric:
    return next(metric for metric in found.metrics if metric.name == name)


def test_a_load_twice_as_slow_is_regressed_in_its_percentiles() -> None:
    found = judge(load(), load(2.0, seed=2))
    assert {metric(found, f"latency.{label}").verdict for label in ("p50", "p95", "p99")} == {"regressed"}
    assert metric(found, "latency.p50").change == pytest.approx(1.0, abs=0.1)
    assert found.verdict == "regressed"


def test_the_same_load_is_no_change_or_inconclusive_and_never_more() -> None:
    verdicts = {judge(load(seed=seed), load(seed=seed + 100)).verdict for seed in range(10)}
    assert verdicts <= {"no_change", "inconclusive"}


def test_stages_are_compared_with_themselves() -> None:
    """A block at 100 clients is no replicate of one at 10: their difference must not widen the interval."""
    staged = judge(load(stages=(1.0, 4.0, 16.0)), load(1.3, stages=(1.0, 4.0, 16.0), seed=2))
    assert metric(staged, "latency.p50").verdict == "regressed"


def test_a_whole_that_moves_otherwise_than_its_stages_is_explained() -> None:
    """Each stage takes half as long; of the slow one's requests there are thirty times as many."""
    before, after = load(stages=(1.0, 4.0)), load(0.5, stages=(1.0, 4.0), seed=2)
    blocks = tuple(
        replace(block, sent=15_000, response=histogram.merge([block.response] * 30)) if block.stage else block
        for block in after.blocks
    )
    found = metric(judge(before, replace(after, blocks=blocks)), "latency.p50")
    assert found.change == pytest.approx(-0.5, abs=0.1)
    assert "each stage is compared with itself; over all it is" in (found.reason or "")
    alike = metric(judge(load(stages=(1.0, 4.0)), load(0.5, stages=(1.0, 4.0), seed=2)), "latency.p50")
    assert alike.reason is None


def test_another_profile_or_engine_gets_no_verdict() -> None:
    for other in (load(profile="60s 8 clients"), load(engine="k6"), load(mode="open")):
        found = judge(load(), other)
        assert {metric.verdict for metric in found.metrics} == {"inconclusive"}
        assert "no verdict across engines" in (found.metrics[0].reason or "")


def test_every_script_is_judged_by_itself() -> None:
    both = load()
    streams = (LoadStream("feed", both.blocks), LoadStream("login", both.blocks))
    found = judge(replace(both, streams=streams), replace(load(seed=2), streams=streams))
    assert metric(found, "feed.latency.p95").change == pytest.approx(0)


def test_dropped_and_failed_requests_are_said() -> None:
    after = load(seed=2)
    lame = replace(after, blocks=tuple(replace(block, sent=510, failed=10, dropped=40) for block in after.blocks))
    found = judge(load(), replace(lame, errors={"deadlock": 60}))
    notes = [note.message for note in found.trust.notes]
    assert any("60 of 3060 requests failed" in note and "60 deadlock" in note for note in notes)
    assert any("240 of 3300 requests were due and never sent" in note for note in notes)
    assert metric(found, "dropped.rate").after == pytest.approx(40 / 550)


def test_gates_read_loads_by_the_names_of_k6_too() -> None:
    found = judge(
        load(), load(0.4, seed=2), "latency.p95 < baseline * 0.5", "http_req_failed.rate < 0.1%", "x.p95 < 1s"
    )
    assert [gate.ok for gate in found.gates] == [True, True, False]
    assert found.gates[0].limit == pytest.approx((found.gates[0].before or 0) * 0.5)


def test_a_threshold_reads_the_load_itself() -> None:
    read = readings_of_load(load())
    for name, statistic in (("latency", "p95"), ("", "p95"), ("http_req_duration", "max"), ("throughput", "rate")):
        assert read(name, statistic) is not None
    assert read("service", "p95") is None
    rate = read("errors", "rate")
    assert rate is not None
    assert (rate.value, rate.unit) == (0, "share")


def test_a_percentile_of_too_few_samples_says_so() -> None:
    found = readings(capture("a", load()))("latency", "p99.9")
    assert found is not None
    assert found.note == "3000 samples are too few to bound it: 3688 do"


def test_a_load_survives_its_document() -> None:
    made = capture("a", load())
    assert from_json(to_json(made), "a.json") == made


def test_a_damaged_histogram_is_refused() -> None:
    made = load()
    broken = replace(made.blocks[0], response=replace(made.blocks[0].response, count=7))
    with pytest.raises(Misused, match="the load 'load' is damaged"):
        from_json(to_json(capture("a", replace(made, blocks=(broken, *made.blocks[1:])))), "a.json")


def test_a_load_that_got_no_answer_gets_no_verdict_and_is_said() -> None:
    nothing = tuple(LoadBlock(number * 5.0, 5.0, 500, 500, 0, histogram.EMPTY) for number in range(6))
    found = judge(load(), load(blocks=nothing, errors={"connection refused": 3000}))
    assert {one.verdict for one in found.metrics if one.name.startswith(("latency", "throughput"))} == {"inconclusive"}
    assert metric(found, "errors.rate").verdict == "regressed"
    assert any("3000 of 3000 requests failed" in note.message for note in found.trust.notes)


def test_an_interval_rests_on_what_was_timed_and_not_on_what_it_stands_for() -> None:
    whole = load()
    tenth = replace(whole, blocks=tuple(replace(block, timed=50) for block in whole.blocks))
    every, sample = (metric(judge(side, side), "latency.p50") for side in (whole, tenth))
    assert (every.before, metric(judge(tenth, tenth), "latency.p95").n_before) == (sample.before, 300)
    assert metric(judge(tenth, tenth), "latency.p99").before_interval is None
    wide, narrow = (metric(judge(side, side), "latency.p95").before_interval for side in (tenth, whole))
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < narrow.high < wide.high
