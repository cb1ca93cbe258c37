"""The whole story, small: real servers, the shipped playbooks, real traffic."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dbtune.app.baseline import compare
from dbtune.core.demo_report import DemoReport, outcomes
from dbtune.core.formats import Screen
from dbtune.render.demo import RENDERERS


@dataclass(frozen=True)
class Told:
    """What a run of the demo printed, and how many processes bore its mark while it ran and after it."""

    place: Path
    document: dict[str, Any]
    messages: str
    most_processes: int
    left_over: int


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The demo as a person runs it."""
    place, mark = tmp_path_factory.mktemp("demo"), secrets.token_hex(8)
    command = [sys.executable, "-m", "dbtune", "demo", "--scale", "0.01", "--seconds", "2.4", "--format", "json"]
    with (place / "out").open("w") as out, (place / "err").open("w") as err:
        # Servers inherit the environment of whoever starts them: the mark finds them wherever they hang.
        run = subprocess.Popen(command, cwd=place, stdout=out, stderr=err, env=os.environ | {"DBTUNE_TEST_MARK": mark})
        most = 0
        while run.poll() is None:
            most = max(most, _marked(mark))
            time.sleep(0.5)
    assert run.returncode == 0, (place / "err").read_text()
    document = json.loads((place / "out").read_text())
    return Told(place, document, (place / "err").read_text(), most, _marked(mark))


def _marked(mark: str) -> int:
    listing = subprocess.run(["ps", "axeww", "-o", "command"], capture_output=True, text=True, check=True).stdout
    return sum(f"DBTUNE_TEST_MARK={mark}" in line for line in listing.splitlines())


@pytest.mark.slow(50)
@pytest.mark.timeout(180)
def test_the_demo_measures_three_times_and_holds_every_figure_against_its_target(told: Told) -> None:
    document = told.document
    assert document["schema"] == "dbtune.demo/1"
    assert len(document["gates"]) == 9
    assert all(gate["value"] is not None for gate in document["gates"] if "p99" not in gate["expression"])
    stages = document["stages"]
    assert [stage["title"] for stage in stages] == ["as found", "after the playbooks", "after the code fixes"]
    for stage in stages:
        assert stage["errors"] == 0
        assert all(endpoint["requests"] > 0 for endpoint in stage["endpoints"])
    course = [stage["endpoints"][-1]["statements_per_request"] for stage in stages]
    assert course[0] > 100
    assert course[2] <= 3
    targets = {target["label"]: target for target in document["targets"]}
    assert len(targets) == 12
    assert targets["Cache hit rate"]["met"] is True
    assert document["tuning"]["indexes"] >= 40
    assert told.messages == "", "silent where nobody looks"
    page = (told.place / "dbtune-demo.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert document["report_path"] == str(told.place / "dbtune-demo.html")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_measurements_are_baselines_that_compare_understands(told: Told) -> None:
    found = compare("demo-as-found", "demo-after-code-fixes", directory=told.place / ".dbtune" / "baselines")
    metrics = {metric.name: metric for metric in found.metrics}
    assert metrics["Course status.p50"].verdict == "improved"
    # Blocks of under a second on a busy machine may leave the verdict open; the figures themselves are far apart.
    rate = metrics["throughput.rate"]
    assert rate.before is not None
    assert rate.after is not None
    assert rate.after > 1.5 * rate.before
    assert rate.verdict == "improved" or (rate.verdict == "inconclusive" and rate.missing)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_demo_leaves_no_server_behind(told: Told) -> None:
    assert told.most_processes > 2, "the servers were seen while it ran"
    assert told.left_over == 0


def test_a_missed_target_is_called_missed(report: DemoReport) -> None:
    worse = replace(report, stages=(report.stages[2], report.stages[1], report.stages[0]))
    missed = [outcome.label for outcome in outcomes(worse) if outcome.met is False]
    assert "P50 of all requests" in missed
    assert "Requests per second" in missed
    text = RENDERERS["terminal"](worse, Screen())
    assert "missed" in text


def test_every_line_fits_a_terminal_of_80_columns(report: DemoReport) -> None:
    text = RENDERERS["terminal"](report, Screen())
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "code fixes" in text


def test_markdown_has_a_row_for_every_target_and_endpoint(report: DemoReport) -> None:
    text = RENDERERS["markdown"](report, Screen())
    assert all(outcome.label in text for outcome in outcomes(report))
    assert all(endpoint.title in text for endpoint in report.stages[0].endpoints)


@pytest.fixture
def report() -> DemoReport:
    """Figures made up for the renderers; what the demo itself prints is measured."""
    from datetime import UTC, datetime

    from dbtune.core.demo_report import EndpointFigures, Latencies, ProbeFigures, Stage, Tuning

    def stage(title: str, factor: float) -> Stage:
        latencies = Latencies(0.08 / factor, 1.7 / factor, 1.9 / factor)
        endpoint = EndpointFigures("content", "Content by id", latencies, 1000, 7.0 * factor, 0, 122.0 / factor)
        probes = tuple(
            ProbeFigures(name, name, 0.5 / factor, 12, 122 / factor, 0)
            for name in ("recommendation-query", "score-update", "course-status")
        )
        return Stage(
            title, title, 18.0, latencies, (endpoint,), probes, int(126 * factor), 0, 85, 15, [0.08 / factor] * 9
        )

    return DemoReport(
        target="PostgreSQL 18.6 and valkey 9.1.2",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        duration_s=120.0,
        scale=1.0,
        rows=3_573_590,
        size_bytes=409_000_000,
        load_s=12.0,
        clients=4,
        stages=(stage("as found", 1), stage("after the playbooks", 40), stage("after the code fixes", 200)),
        tuning=Tuning(58, 13.6, 306_000_000, 51_209, 3.2, (("playbooks/auth-service.yml", 3.0),)),
        report_path="dbtune-demo.html",
        baselines=("demo-as-found", "demo-after-playbooks", "demo-after-code-fixes"),
    )
