from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbtune.baseline.histogram import quantile
from dbtune.core.errors import Misused
from dbtune.core.formats import Screen
from dbtune.load.document import from_json, parse_worker
from dbtune.load.judgement import Expectation, judge
from dbtune.load.merging import merge_reports
from dbtune.load.recorder import Recorder, Seen
from dbtune.load.report import LoadOutcome, LoadReport, by_stage
from dbtune.load.stages import Stage, segments
from dbtune.load.timeline import timeline
from dbtune.render.load_json import render

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
P95 = Expectation("latency", "latency", "p(95)<50ms")


def outcome(times_us: list[int], *, failed: int = 0, expected: Expectation = P95, stop: bool = False) -> LoadOutcome:
    parts = segments([Stage.model_validate({"duration": "6s", "clients": 1})])
    recorder = Recorder(["a"], timeline(parts))
    for place, time_us in enumerate(times_us):
        recorder.add(Seen(0, place * 6 / len(times_us), time_us))
    if failed:
        recorder.fail(0, 1, "boom", failed)
    recorder.worked(0, 2 if stop else 6, 2 if stop else 6)
    result = recorder.result("l", "pgbench prepared", "closed", "6s 1 client")
    return LoadOutcome(
        id="l", name="Load", result=result, stages=by_stage(result, ("6s 1 client",)),
        thresholds=judge((expected,), result, None), started_at=STARTED, expectations=(expected,),
        cells={place: dict(cell.times) for place, cell in recorder.cells.items()},
    )  # fmt: skip


def report(one: LoadOutcome, worker: tuple[int, int] | None) -> LoadReport:
    return LoadReport("p.yml", "app@db", STARTED, 6.0, (one,), worker=worker)


def through_a_file(one: LoadReport) -> LoadReport:
    return from_json(render(one, Screen()), "one.json")


def test_a_result_survives_its_file() -> None:
    before = report(outcome([1000, 2000, 30_000], failed=2), (1, 2))
    after = through_a_file(before)
    assert after.loads[0].result == replace(before.loads[0].result, errors={"boom": 2})
    assert after.loads[0].cells == before.loads[0].cells
    assert (after.worker, after.loads[0].expectations) == ((1, 2), (P95,))


def test_the_merged_stream_is_judged_and_no_mean_of_percentiles() -> None:
    # 90 fast ones here, 10 slow ones there: each worker's own P95 says nothing about both together.
    quick, slow = outcome([1000] * 90), outcome([100_000] * 10)
    assert quick.verdict == "passed"
    merged = merge_reports([through_a_file(report(quick, (1, 2))), through_a_file(report(slow, (2, 2)))])
    result = merged.loads[0].result
    assert (result.workers, result.response.count) == (2, 100)
    assert quantile(result.response, 0.89) == pytest.approx(0.001, rel=0.01)
    assert quantile(result.response, 0.95) == pytest.approx(0.1, rel=0.01)
    assert merged.verdict == "failed"
    assert merged.exit_code == 1
    assert result.series[0].p95_s == pytest.approx(0.1, rel=0.01)
    assert result.series[0].rate == pytest.approx(sum(one.result.series[0].rate for one in (quick, slow)))


def test_a_worker_alone_does_not_judge() -> None:
    assert report(outcome([100_000] * 10), (1, 2)).exit_code == 0
    assert report(outcome([100_000] * 10), None).exit_code == 1


def test_a_missing_worker_is_no_pass() -> None:
    merged = merge_reports([report(outcome([1000] * 90), (1, 3))])
    assert merged.exit_code == 1
    assert "worker 2, 3 of 3 is missing" in merged.loads[0].broken[0]


def test_a_worker_that_was_stopped_early_still_merges() -> None:
    merged = merge_reports([report(outcome([1000] * 60), (1, 2)), report(outcome([1000] * 60, stop=True), (2, 2))])
    assert merged.loads[0].result.duration_s == pytest.approx(6.0)


def test_what_does_not_belong_together_is_refused() -> None:
    one = report(outcome([1000]), (1, 2))
    other_profile = replace(one.loads[0], result=replace(one.loads[0].result, profile="7s 1 client"))
    cases = {
        "twice": [one, one],
        "different sizes": [one, replace(one, worker=(2, 3))],
        "differ in profile": [one, replace(one, worker=(2, 2), loads=(other_profile,))],
        "different thresholds": [one, report(outcome([1000], expected=replace(P95, text="p(95)<1s")), (2, 2))],
        "different loads": [one, replace(one, worker=(2, 2), loads=())],
        "nothing to merge": [],
    }
    for words, reports in cases.items():
        with pytest.raises(Misused, match=words):
            merge_reports(reports)


def test_workers_that_began_far_apart_are_told_of() -> None:
    late = outcome([1000])
    late = replace(late, started_at=STARTED + timedelta(seconds=60))
    merged = merge_reports([report(outcome([1000]), (1, 2)), report(late, (2, 2))])
    assert any("60 s apart" in note for note in merged.loads[0].notes)


def test_no_data_is_a_failure() -> None:
    empty = outcome([], failed=4)
    assert empty.verdict == "failed"
    assert "no data" in (empty.thresholds[0].gate.reason or "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("dbtune.load/1", "dbtune.load/2"),
        lambda text: text.replace('"schema"', '"scheme"'),
        lambda text: "[]",
        lambda text: text.replace('"sent": 3', '"sent": "x"', 1),
        lambda text: text.replace("HISTFAAAA", "HISTGAAAA"),
        lambda text: text.replace('"worker": "1/2"', '"worker": "9/2"'),
        lambda text: json.dumps(json.loads(text) | {"steps": 5}),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_refused(damage: object) -> None:
    text = render(report(outcome([1000, 2000, 30_000] * 6), (1, 2)), Screen())
    with pytest.raises(Misused, match=r"one\.json"):
        from_json(damage(text), "one.json")  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "a/b", "1/2/3"])
def test_what_is_no_worker_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a worker"):
        parse_worker(text)
