"""Files of k6, pgbench and hyperfine as baselines: what is read from each, and what is refused."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from dbtune.app.baseline import compare
from dbtune.app.baseline_store import load, save, superfluous
from dbtune.app.importing import import_baseline
from dbtune.baseline.capture import Capture
from dbtune.baseline.gates import Reading
from dbtune.baseline.readings import readings
from dbtune.baseline.trend import trend
from dbtune.core.errors import Misused
from dbtune.load.pgbench_log import Columns
from dbtune.render.baseline_exports import render

VALUES = {"avg": 12.5, "min": 1.0, "med": 10.0, "max": 90.0, "p(90)": 30.0, "p(95)": 45.0}
SUMMARIES: dict[str, dict[str, Any]] = {
    "exported": {
        "metrics": {
            "http_req_duration": {**VALUES, "thresholds": {"p(95)<40": True}},
            "http_req_failed": {"passes": 1, "fails": 99, "value": 0.01},
            "http_reqs": {"count": 100, "rate": 20.0},
        }
    },
    "handled": {
        "metrics": {
            "http_req_duration": {
                "type": "trend", "contains": "time", "values": VALUES, "thresholds": {"p(95)<40": {"ok": False}},
            },
            "http_req_failed": {"type": "rate", "contains": "default", "values": {"rate": 0.01, "passes": 1}},
            "http_reqs": {"type": "counter", "contains": "default", "values": {"count": 100, "rate": 20.0}},
        },
        "state": {"testRunDurationMs": 5000.0},
    },
    "new": {
        "version": "1.0.0",
        "results": {
            "metrics": [
                {"name": "http_req_duration", "type": "trend", "contains": "time", "values": VALUES},
                {"name": "http_req_failed", "type": "rate", "contains": "default", "values": {"rate": 0.01}},
                {"name": "http_reqs", "type": "counter", "contains": "default", "values": {"count": 100, "rate": 20.0}},
            ],
            "checks": [],
        },
    },
}  # fmt: skip


def k6_lines(factor: float, seed: int, *, seconds: int = 60) -> bytes:
    generator = random.Random(seed)  # noqa: S311 - repeatable
    lines = [{"type": "Metric", "metric": "http_req_duration", "data": {"type": "trend"}}]
    for second in range(seconds):
        for _ in range(20):
            tags = {"name": "feed", "expected_response": "true", "status": "200"}
            time = f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.{generator.randrange(10**9):09d}Z"
            data = {"time": time, "value": generator.lognormvariate(2, 0.3) * factor, "tags": tags}
            lines.append({"type": "Point", "metric": "http_req_duration", "data": data})
    return "\n".join(json.dumps(line, separators=(",", ":")) for line in lines).encode() + b"\n"


def pgbench_lines(factor: float, seed: int, extra: str = "") -> str:
    generator = random.Random(seed)  # noqa: S311 - repeatable
    return "".join(
        f"{number % 8} {number} {int(generator.lognormvariate(7, 0.3) * factor)} 0 {1767225600 + number // 50}"
        f" {generator.randrange(10**6)}{extra}\n"
        for number in range(3000)
    )


def read(capture: Capture, metric: str, statistic: str) -> Reading:
    found = readings(capture)(metric, statistic)
    assert found is not None
    return found


@pytest.mark.parametrize("shape", SUMMARIES)
def test_the_three_summaries_of_k6_say_the_same(shape: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARIES[shape]))
    found = import_baseline("s", [tmp_path / "summary.json"], tmp_path)
    assert read(found, "latency", "p95") == Reading(0.045, "s")
    assert read(found, "http_req_duration", "med") == Reading(0.01, "s")
    assert read(found, "errors", "rate") == Reading(0.01, "share")
    assert read(found, "requests", "rate") == Reading(20.0, "1/s")
    if shape != "new":
        assert read(found, "threshold http_req_duration: p(95)<40", "value").value == 0
    assert load("s", tmp_path) == found


def test_two_streams_of_k6_get_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(k6_lines(1, 1))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(k6_lines(2, 2)))
    import_baseline("a", [tmp_path / "a.json"], tmp_path)
    import_baseline("b", [tmp_path / "b.json.gz"], tmp_path)
    found = compare("a", "b", directory=tmp_path)
    assert found.verdict == "regressed"
    assert next(metric for metric in found.metrics if metric.name == "latency.p50").change == pytest.approx(1, abs=0.1)


def test_an_import_is_not_said_to_lack_what_no_import_has(tmp_path: Path) -> None:
    """Counters, and the loop: dropped requests on one side alone make it no other kind of load."""
    late = {"metric": "dropped_iterations", "type": "Point", "data": {"time": "2026-01-01T00:00:05Z", "value": 3}}
    (tmp_path / "a.json").write_bytes(k6_lines(1, 1))
    (tmp_path / "b.json").write_bytes(k6_lines(2, 2) + json.dumps(late).encode() + b"\n")
    for name in ("a", "b"):
        import_baseline(name, [tmp_path / f"{name}.json"], tmp_path)
    found = compare("a", "b", directory=tmp_path)
    assert found.loads[0].after.dropped == 3
    assert found.verdict == "regressed"
    said = " ".join(note.message for note in found.trust.notes)
    assert "does not say whether" in said
    assert "without a window" not in said


def test_a_file_of_no_known_tool_is_told_which_are_known(tmp_path: Path) -> None:
    (tmp_path / "k6.csv").write_text("metric_name,timestamp,metric_value\nhttp_reqs,1767225600,1\n")
    with pytest.raises(Misused) as refusal:
        import_baseline("x", [tmp_path / "k6.csv"], tmp_path)
    assert "--out json=FILE" in (refusal.value.hint or "")


def test_two_logs_of_pgbench_get_a_verdict(tmp_path: Path) -> None:
    for name, factor in (("a", 1.0), ("b", 0.5)):
        (tmp_path / f"{name}.log").write_text(pgbench_lines(factor, ord(name)))
        import_baseline(name, [tmp_path / f"{name}.log"], tmp_path)
    found = compare("a", "b", directory=tmp_path)
    assert found.verdict == "improved"
    assert found.loads[0].before.sent == 3000


def test_a_seventh_field_of_pgbench_has_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(pgbench_lines(1, 1, extra=" 17"))
    with pytest.raises(Misused, match="seven fields") as refusal:
        import_baseline("a", [tmp_path / "a.log"], tmp_path)
    assert "--with-lag" in (refusal.value.hint or "")
    assert import_baseline("a", [tmp_path / "a.log"], tmp_path, columns=Columns(retries=True)).loads[0].mode == "closed"
    assert import_baseline("a", [tmp_path / "a.log"], tmp_path, columns=Columns(lag=True)).loads[0].mode == "open"


def test_hyperfine_becomes_timings_without_the_failed_runs(tmp_path: Path) -> None:
    result = {"command": "sleep 1", "mean": 1.0, "times": [1.0, 1.1, 9.0], "exit_codes": [0, 0, 1]}
    (tmp_path / "h.json").write_text(json.dumps({"results": [result]}))
    found = import_baseline("h", [tmp_path / "h.json"], tmp_path)
    assert (found.timings[0].values_s, found.timings[0].errors) == ((1.0, 1.1), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (k6_lines(1, 1)[:-30], "a.json:"),
        (b'{"metrics": {"a": ', "not a complete JSON document"),
        (b'{"metrics": {"a": {"avg": NaN}}}', "NaN is not a number"),
        (b'{"metrics": {"a": {"avg": -Infinity}}}', "-Infinity is not a number"),
        (b'{"metrics": {"http_req_duration": {"avg": 1e999}}}', "cannot be measured"),
        (b'{"metrics": {"http_req_duration": {"avg": -3}}}', "negative time"),
        (b'{"metrics": {"http_req_duration": {"avg": "12ms"}}}', "avg is '12ms', no number"),
        (b'{"metrics": {"http_req_duration": 7}}', "neither a summary of k6 nor"),
        (b'{"version": "9", "results": {"metrics": {}}}', "neither a summary of k6 nor"),
        (b'{"results": [{"command": "x", "times": [1e999]}]}', "a time that cannot be"),
        (b'{"results": []}', "no result of hyperfine"),
        (b'{"metrics": {}}', "without a metric"),
        (b'{"something": 1}', "neither a summary of k6 nor"),
        (b"[1, 2]", "is a list"),
        (b'{"results": [{"command": "x", "times": [-1]}]}', "a time that cannot be"),
        (b"0 1 2 3\n", "not a complete JSON document"),
        (b"1 2 -5 0 1767225600 17\n", "cannot be"),
        (b"1767225600 900 81000 7400000 61 940\n1767225601 910 82000 7500000 60 930\n", "moments lie before 2001"),
        (b"", "not a complete JSON document"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
    ],
)
def test_what_is_damaged_or_foreign_is_refused_and_leaves_nothing(text: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(Misused, match=said):
        import_baseline("x", [tmp_path / "a.json"], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_an_import_is_not_compared_with_a_server(tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "a.log").write_text(pgbench_lines(1, 1))
    found = import_baseline("a", [tmp_path / "a.log"], tmp_path)
    server = replace(found, name="b", fingerprint=replace(found.fingerprint, server_version=180006), imported=None)
    with pytest.raises(Misused, match="was imported from another tool"):
        compare(found, server)


def test_exports_have_the_forms_of_their_tools(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(pgbench_lines(1, 1))
    found = import_baseline("a", [tmp_path / "a.log"], tmp_path)
    bencher = json.loads(render(found, "bencher"))["pgbench"]
    assert bencher["latency"]["lower_value"] < bencher["latency"]["value"] < bencher["latency"]["upper_value"]
    entries = json.loads(render(found, "benchmark"))
    assert {"name", "unit", "value"} <= set(entries[0])
    lines = render(found, "prometheus").splitlines()
    assert 'dbtune_baseline_latency_seconds{baseline="a",subject="pgbench",quantile="0.95"}' in " ".join(lines)
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)
    assert 'dbtune_baseline_errors_ratio{baseline="a",subject="pgbench"} 0.0' in lines
    assert "latency p95" in render(found, "markdown")


def test_a_trend_follows_one_figure_and_prune_keeps_the_newest(tmp_path: Path) -> None:
    from dataclasses import replace
    from datetime import timedelta

    (tmp_path / "a.log").write_text(pgbench_lines(1, 1))
    first = import_baseline("n0", [tmp_path / "a.log"], tmp_path)
    for number in range(1, 7):
        save(replace(first, name=f"n{number}", started_at=first.started_at + timedelta(days=number)), tmp_path)
    found = trend("latency.p95", [load(f"n{number}", tmp_path) for number in range(7)])
    assert [point.name for point in found.points] == [f"n{number}" for number in range(7)]
    assert found.unusual is False
    assert superfluous(tmp_path, keep=2, older_than_s=None) == [f"n{number}" for number in range(5)]
    (tmp_path / "foreign.json").write_text("{}")
    assert "foreign" not in superfluous(tmp_path, keep=0, older_than_s=None)
