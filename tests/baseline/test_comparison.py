"""Two captures made by hand: what is refused, matched, folded, split and said."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbtune.baseline.capture import SCHEMA, Capture, Figure, Fingerprint, Snapshot, StatementRow, Statements, Timing
from dbtune.baseline.comparison import compare
from dbtune.baseline.outcome import Comparison, Metric
from dbtune.baseline.rows import CommandRow, DatabaseRow, IndexRow, InstanceRow, IoRow, SessionsRow, TableRow
from dbtune.core.errors import Misused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRACKING = {"pg_stat_statements.track": "top", "track_io_timing": "off", "compute_query_id": "auto"}
PRINT = Fingerprint(150018, "app", 5, "71", NOW, 1 << 30, "1.10", TRACKING)


def capture(
    name: str,
    per_window: Mapping[str, tuple[int, float]],
    texts: Mapping[str, str | None] | None = None,
    *,
    windows: int = 6,
    toplevel: bool = True,
) -> Capture:
    """Each sub-window of 5 s adds (calls, ms) to every queryid, with 1 % of noise."""
    random.seed(name)
    rows = {queryid: StatementRow(10, 5, queryid, toplevel=toplevel) for queryid in per_window}
    shots = []
    for number in range(windows + 1):
        shots.append(Snapshot(NOW, number * 5.0, Statements(tuple(rows.values()), 9, 5000, 0, NOW)))
        for queryid, (calls, spent) in per_window.items():
            row = rows[queryid]
            rows[queryid] = replace(
                row,
                calls=row.calls + calls,
                exec_ms=row.exec_ms + spent * random.lognormvariate(0, 0.01),
                exec_stddev_ms=0.1,
                shared_hit=row.shared_hit + calls * 4,
            )
    named = {queryid: f"select {queryid}" for queryid in per_window} if texts is None else texts
    return Capture(SCHEMA, "0.1.0", name, "app@db", NOW, 30.0, PRINT, tuple(shots), named, {10: "web"})


def judge(before: Capture, after: Capture, *, across_servers: bool = False, interleaved: bool = False) -> Comparison:
    return compare(
        before, after, started_at=NOW + timedelta(hours=1), across_servers=across_servers, interleaved=interleaved
    )


def metric(found: Comparison, name: str) -> Metric:
    return next(metric for metric in found.metrics if metric.name == name)


def test_a_statement_twice_as_fast_is_improved() -> None:
    found = judge(capture("a", {"1": (100, 200.0)}), capture("b", {"1": (100, 100.0)}))
    assert found.statements[0].time.verdict == "improved"
    assert found.statements[0].time.change == pytest.approx(-0.5, abs=0.02)
    assert found.verdict == "improved"


def test_more_calls_are_volume_and_dearer_calls_are_cost() -> None:
    found = judge(capture("a", {"1": (100, 200.0)}), capture("b", {"1": (300, 600.0)}))
    assert found.split is not None
    assert found.split.volume == pytest.approx(0.08, rel=0.05)
    assert found.split.cost == pytest.approx(0, abs=0.005)
    dearer = judge(capture("a", {"1": (100, 200.0)}), capture("b", {"1": (100, 600.0)}))
    assert dearer.split is not None
    assert dearer.split.cost == pytest.approx(0.08, rel=0.05)


def test_the_split_adds_up_to_the_change_of_the_total() -> None:
    found = judge(capture("a", {"1": (100, 200.0), "2": (5, 9.0)}), capture("b", {"1": (70, 600.0), "3": (1, 80.0)}))
    total = sum(
        (c.after.time_per_s if c.after else 0) - (c.before.time_per_s if c.before else 0) for c in found.statements
    )
    assert found.split is not None
    assert found.split.volume + found.split.cost == pytest.approx(total)


def test_nested_statements_are_not_added_to_the_total() -> None:
    old, new = capture("a", {"1": (100, 200.0)}, toplevel=False), capture("b", {"1": (100, 100.0)}, toplevel=False)
    found = judge(old, new)
    assert found.split is None
    assert found.statements[0].toplevel is False


def test_a_table_made_again_changes_the_queryid_and_the_text_still_matches() -> None:
    text = "select * from t where id = $1"
    found = judge(capture("a", {"1": (100, 200.0)}, {"1": text}), capture("b", {"8": (100, 100.0)}, {"8": text}))
    assert [change.matched_by for change in found.statements] == ["text"]


def test_lists_of_different_lengths_are_one_statement() -> None:
    texts = {"1": "select * from t where id in ($1)", "2": "select * from t where id in ($1, $2)"}
    load = {"1": (100, 200.0), "2": (50, 100.0)}
    found = judge(capture("a", load, texts), capture("b", load, texts))
    assert [change.queryids for change in found.statements] == [("1", "2")]
    assert found.statements[0].before is not None
    assert found.statements[0].before.calls == 900


def test_the_same_text_over_two_schemas_stays_two_statements() -> None:
    texts = dict.fromkeys(("1", "2"), "select * from t where id = $1")
    load = {"1": (100, 200.0), "2": (50, 900.0)}
    assert len(judge(capture("a", load, texts), capture("b", load, texts)).statements) == 2


def test_across_major_versions_equal_ids_are_not_enough() -> None:
    old = capture("a", {"1": (100, 200.0)}, {"1": "select a"})
    new = capture("b", {"1": (100, 100.0)}, {"1": "select b"})
    new = replace(new, fingerprint=replace(PRINT, server_version=180000, system_identifier="99"))
    found = judge(old, new)
    assert {change.matched_by for change in found.statements} == {"none"}
    assert any(note.subject == "versions" for note in found.trust.notes)


def test_captures_of_different_databases_are_refused_with_the_reason() -> None:
    other = replace(capture("b", {}), fingerprint=replace(PRINT, database="shop", database_oid=9))
    with pytest.raises(Misused, match="different databases: app and shop"):
        judge(capture("a", {}), other)
    assert judge(capture("a", {}), other, across_servers=True).verdict == "inconclusive"


def test_captures_of_different_servers_are_refused_with_the_reason() -> None:
    other = replace(capture("b", {}), fingerprint=replace(PRINT, system_identifier="72"))
    with pytest.raises(Misused, match="different servers"):
        judge(capture("a", {}), other)


def test_statements_counted_under_other_settings_are_not_comparable() -> None:
    new = capture("b", {"1": (100, 100.0)})
    new = replace(new, fingerprint=replace(PRINT, settings={**TRACKING, "pg_stat_statements.track": "all"}))
    found = judge(capture("a", {"1": (100, 200.0)}), new)
    assert not found.statements
    assert any(note.level == "invalid" and "was top, then all" in note.message for note in found.trust.notes)


def test_io_time_is_not_available_while_it_is_not_measured() -> None:
    found = judge(capture("a", {"1": (100, 200.0)}), capture("b", {"1": (100, 200.0)}))
    assert found.statements[0].before is not None
    assert found.statements[0].before.io_s_per_call is None


def test_a_reset_within_a_window_leaves_no_statement_metrics() -> None:
    old = capture("a", {"1": (100, 200.0)})
    shots = list(old.snapshots)
    assert shots[3].statements is not None
    for number in range(3, 7):
        counted = shots[number].statements
        assert counted is not None
        shots[number] = replace(shots[number], statements=replace(counted, stats_reset=NOW + timedelta(seconds=12)))
    found = judge(replace(old, snapshots=tuple(shots)), capture("b", {"1": (100, 100.0)}))
    assert not found.statements
    assert any(note.level == "invalid" and "reset" in note.message for note in found.trust.notes)


def test_only_two_snapshots_say_that_noise_was_assumed() -> None:
    found = judge(capture("a", {"1": (100, 200.0)}, windows=1), capture("b", {"1": (100, 50.0)}, windows=1))
    time = found.statements[0].time
    assert time.verdict == "improved"
    assert time.reason == "noise between runs assumed: 5%"
    few = judge(capture("a", {"1": (20, 200.0)}, windows=1), capture("b", {"1": (20, 50.0)}, windows=1))
    assert few.statements[0].time.verdict == "inconclusive"


def test_without_a_window_it_is_said_that_counters_cannot_be_judged() -> None:
    found = judge(capture("a", {"1": (1, 1.0)}, windows=0), capture("b", {"1": (1, 1.0)}, windows=0))
    assert not found.statements
    assert any("without a window" in note.message for note in found.trust.notes)


def test_there_is_no_verdict_across_engines() -> None:
    old = replace(capture("a", {}), timings=(Timing("feed", ((0.1,) * 100,) * 4, "pgbench"),))
    new = replace(capture("b", {}), timings=(Timing("feed", ((0.01,) * 100,) * 4, "k6"),))
    found = judge(old, new)
    assert metric(found, "feed.p50").verdict == "inconclusive"
    assert "no verdict across engines" in (metric(found, "feed.p50").reason or "")


def test_exact_counts_need_no_test() -> None:
    old = replace(
        capture("a", {}), figures=(Figure("course.statements", "statements", "lower", (120.0,), "demo", exact=True),)
    )
    new = replace(
        capture("b", {}), figures=(Figure("course.statements", "statements", "lower", (3.0,), "demo", exact=True),)
    )
    found = metric(judge(old, new), "course.statements")
    assert found.verdict == "improved"
    assert found.change == pytest.approx(-0.975)
    assert metric(judge(old, old), "course.statements").verdict == "no_change"


def test_a_hit_rate_from_zero_is_a_difference_in_points() -> None:
    old = replace(capture("a", {}), figures=(Figure("cache.hit_rate", "share", "higher", (0.0,) * 6, "demo"),))
    new = replace(
        capture("b", {}),
        figures=(Figure("cache.hit_rate", "share", "higher", (0.9, 0.91, 0.9, 0.92, 0.9, 0.9), "demo"),),
    )
    found = metric(judge(old, new), "cache.hit_rate")
    assert found.verdict == "improved"
    assert found.change == pytest.approx(0.905, abs=0.01)


def test_throughput_that_falls_is_a_regression() -> None:
    old = replace(capture("a", {}), figures=(Figure("feed.throughput", "1/s", "higher", (100.0, 101.0, 99.0), "demo"),))
    new = replace(capture("b", {}), figures=(Figure("feed.throughput", "1/s", "higher", (50.0, 51.0, 49.0), "demo"),))
    assert judge(old, new).verdict == "regressed"


def test_a_reset_of_the_database_leaves_its_metrics_out() -> None:
    row = DatabaseRow(100, 0, 10, 90, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, NOW)
    shots = (
        Snapshot(NOW, 0.0, database=row),
        Snapshot(NOW, 5.0, database=replace(row, stats_reset=NOW + timedelta(1))),
    )
    found = judge(replace(capture("a", {}), snapshots=shots), replace(capture("b", {}), snapshots=shots))
    assert not found.metrics
    assert any("counters were reset" in note.message for note in found.trust.notes)


def test_new_indexes_stand_beside_what_was_read() -> None:
    table, index = TableRow(1, "public", "t", seq_tup_read=1000), IndexRow(2, "public", "t", "t_g_idx")
    late = replace(table, seq_tup_read=51_000)
    old = (Snapshot(NOW, 0.0, tables=(table,)), Snapshot(NOW, 5.0, tables=(late,)))
    new = (
        Snapshot(NOW, 0.0, tables=(late,)),
        Snapshot(NOW, 5.0, tables=(replace(late, idx_scan=5),), indexes=(index,)),
    )
    found = judge(replace(capture("a", {}), snapshots=old), replace(capture("b", {}), snapshots=new))
    assert found.tables[0].new_indexes == ("t_g_idx",)
    assert (found.tables[0].seq_rows_before, found.tables[0].seq_rows_after) == (10_000, 0)


def test_outliers_at_the_percentile_itself_are_no_change() -> None:
    """One call in a hundred takes fifty times as long: the P99 lies at the foot of a cliff, or on its top."""
    generator = random.Random(7)  # noqa: S311 - repeatable

    def blocks(outliers: int) -> tuple[tuple[float, ...], ...]:
        calls = [generator.lognormvariate(-6, 0.3) for _ in range(480)]
        for place in range(outliers):
            calls[place * 40] *= 50
        return tuple(tuple(calls[start : start + 80]) for start in range(0, 480, 80))

    few, many = (replace(capture(name, {}), timings=(Timing("feed", blocks(n), "t"),)) for name, n in
                 (("a", 1), ("b", 10)))  # fmt: skip
    assert metric(judge(few, many), "feed.p99").verdict == "inconclusive"
    assert metric(judge(few, many), "feed.p50").verdict in ("no_change", "inconclusive")


def test_wal_io_and_commands_are_shown_and_not_judged() -> None:
    def busy(name: str, factor: int) -> Capture:
        made = capture(name, {"1": (100, 200.0)}, windows=1)
        shots = [
            replace(
                shot,
                instance=InstanceRow(number, 0, 0, number * factor * 1000, stats_reset=NOW),
                io=(IoRow("client backend", "relation", "normal", read_bytes=number * factor * 500),),
                sessions=SessionsRow(1, 0, 0, 2, 3, 100),
                redis_run_id="r",
                redis_commands={
                    "get": CommandRow(1 + number * 100, number * factor * 0.001),
                    "info": CommandRow(9, 9.0),
                },
            )
            for number, shot in enumerate(made.snapshots)
        ]
        return replace(made, snapshots=tuple(shots))

    found = judge(busy("a", 1), busy("b", 3))
    shown = {metric.name: metric for metric in found.metrics if metric.informative}
    assert shown["server.wal_per_s"].change == pytest.approx(2)
    assert shown["server.read_per_s"].change == pytest.approx(2)
    assert shown["redis.get.time_per_call"].after == pytest.approx(3e-5)
    assert "redis.info.time_per_call" not in shown
    assert any("waited for a lock" in note.message for note in found.trust.notes)


def test_a_clock_that_jumped_is_said() -> None:
    made = capture("a", {"1": (100, 200.0)}, windows=2)
    shots = [
        replace(shot, at=NOW + timedelta(seconds=shot.offset_s + (3600 if number else 0)))
        for number, shot in enumerate(made.snapshots)
    ]
    found = judge(replace(made, snapshots=tuple(shots)), made)
    assert any("it jumped by +3600 s" in note.message for note in found.trust.notes)


def test_every_figure_of_a_statement_is_per_call_before_and_after() -> None:
    """4 blocks a call in both; the second capture returns more rows, and is called twice as often."""

    def with_rows(made: Capture, rows: int) -> Capture:
        shots = []
        for number, shot in enumerate(made.snapshots):
            assert shot.statements is not None
            counted = tuple(
                replace(row, rows=number * rows, temp_read=number * 10, wal_bytes=number * 500)
                for row in shot.statements.rows
            )
            shots.append(replace(shot, statements=replace(shot.statements, rows=counted)))
        return replace(made, snapshots=tuple(shots))

    found = judge(with_rows(capture("a", {"1": (100, 200.0)}), 100), with_rows(capture("b", {"1": (200, 400.0)}), 600))
    (change,) = found.statements
    assert change.before is not None
    assert change.after is not None
    assert (change.before.calls_per_s, change.after.calls_per_s) == (20, 40)
    assert (change.before.rows_per_call, change.after.rows_per_call) == (1, 3)
    assert (change.before.blocks_per_call, change.after.blocks_per_call) == (4, 4)
    assert (change.before.temp_blocks_per_call, change.after.temp_blocks_per_call) == pytest.approx((0.1, 0.05))
    assert (change.before.wal_bytes_per_call, change.after.wal_bytes_per_call) == pytest.approx((5, 2.5))
    assert change.before.time_per_call_s == pytest.approx(0.002, rel=0.02)
    assert change.time.verdict in ("no_change", "inconclusive")


def test_a_reset_between_two_captures_matters_to_neither() -> None:
    """Each counts within its own window."""
    later = capture("b", {"1": (100, 100.0)})
    shots = []
    for shot in later.snapshots:
        assert shot.statements is not None
        shots.append(replace(shot, statements=replace(shot.statements, stats_reset=NOW + timedelta(hours=2))))
    found = judge(capture("a", {"1": (100, 200.0)}), replace(later, snapshots=tuple(shots)))
    assert found.statements[0].time.verdict == "improved"
    assert not [note for note in found.trust.notes if note.level == "invalid"]


def test_a_statement_that_nobody_called_is_left_out() -> None:
    found = judge(capture("a", {"1": (100, 200.0), "2": (0, 0.0)}), capture("b", {"1": (100, 200.0), "2": (0, 0.0)}))
    assert [change.queryids for change in found.statements] == [("1",)]
    gone = judge(capture("a", {"1": (100, 200.0)}), capture("b", {"1": (0, 0.0)}))
    assert gone.statements[0].after is None
    assert gone.statements[0].time.reason == "called only before"


@pytest.mark.parametrize("blocks", [(), ((),), ((0.0,) * 80,) * 6])
def test_timings_without_a_call_or_without_a_time_get_no_verdict(blocks: tuple[tuple[float, ...], ...]) -> None:
    timed = replace(capture("a", {}), timings=(Timing("feed", ((0.1,) * 80,) * 6, "t"),))
    empty = replace(capture("b", {}), timings=(Timing("feed", blocks, "t"),))
    for pair in ((timed, empty), (empty, timed), (empty, empty)):
        assert {found.verdict for found in judge(*pair).metrics} == {"inconclusive"}
