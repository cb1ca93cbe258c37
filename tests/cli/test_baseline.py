"""The baseline commands as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import forks

from dbtune.app.baseline import capture
from dbtune.app.baseline_store import save
from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import SCHEMA, Capture, Fingerprint, Timing


def dbtune(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forks.run(["baseline", *arguments], cwd=directory)


def test_two_captures_are_compared_and_reported(database: str, tmp_path: Path) -> None:
    for name in ("before", "after"):
        done = dbtune(
            tmp_path, "capture", name, "--postgres", database, "--window", "400ms", "--windows", "2",
            "--probe", "one=select 1", "--repeat", "80", "--statement", "one=select 1",
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    found = dbtune(tmp_path, "compare", "before", "after", "--format", "json")
    document = json.loads(found.stdout)
    assert found.returncode == 0
    assert [metric["name"] for metric in document["metrics"]][:3] == ["one.p50", "one.p95", "one.p99"]
    page = dbtune(tmp_path, "compare", "before", "after", "--output", "report.html")
    assert (page.returncode, page.stdout, page.stderr) == (0, "", "")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert "before" in dbtune(tmp_path, "list").stdout
    assert "select 1" in dbtune(tmp_path, "show", "before", "--format", "json").stdout


def test_a_regression_fails_the_run_when_asked_to(database: str, tmp_path: Path) -> None:
    from dbtune.baseline.probes import Probe

    targets, directory = OpenTargets(database, None), tmp_path / ".dbtune" / "baselines"
    for name, pause in (("quick", "0"), ("slow", "0.02")):
        probes = [Probe("wait", sql=f"select pg_sleep({pause})")]
        capture(name, targets, probes=probes, repeat=40, directory=directory)
    assert dbtune(tmp_path, "compare", "quick", "slow").returncode == 0
    failed = dbtune(tmp_path, "compare", "quick", "slow", "--fail-on", "regression")
    assert failed.returncode == 1
    assert "regressed" in failed.stdout
    assert dbtune(tmp_path, "compare", "slow", "quick", "--fail-on", "regression").returncode == 0


def test_mistakes_of_the_command_line_are_exit_2_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"schema": "dbtune.baseline/99"}')
    for arguments in (
        ("capture", "../x", "--postgres", "postgresql:///x"),
        ("capture", "x", "--window", "30", "--postgres", "postgresql:///x"),
        ("capture", "x", "--probe", "select 1", "--postgres", "postgresql:///x"),
        ("capture", "x", "--probes", "none.yml", "--postgres", "postgresql:///x"),
        ("compare", "a", "b"),
        ("compare", "bad.json", "bad.json"),
        ("compare", "a", "b", "--margin", "many"),
        ("list", "--format", "html"),
        ("prune",),
        ("import", "x", "bad.json"),
        ("trend", "latency.p95"),
        ("export", "none"),
        ("selfcheck", "--runs", "0", "--postgres", "postgresql:///x"),
    ):
        done = dbtune(tmp_path, *arguments)
        assert done.returncode == 2, arguments
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert "error:" in done.stderr


def test_an_unreachable_server_is_exit_3_and_leaves_no_file(tmp_path: Path) -> None:
    done = dbtune(tmp_path, "capture", "x", "--postgres", "postgresql://u:hidden@localhost:1/x")
    assert done.returncode == 3
    assert "hidden" not in done.stderr
    assert not list(tmp_path.rglob("*.json"))


def test_every_command_has_an_example() -> None:
    commands = ("capture", "compare", "report", "list", "show", "trend", "prune", "import", "export", "selfcheck", "ab")
    for command in commands:
        assert f"dbtune baseline {command}" in dbtune(Path.cwd(), command, "--help").stdout


def test_gates_hold_or_exit_with_1_and_annotate(database: str, tmp_path: Path) -> None:
    for name in ("before", "after"):
        done = dbtune(tmp_path, "capture", name, "--postgres", database, "--probe", "one=select 1", "--repeat", "80")
        assert done.returncode == 0
    held = dbtune(tmp_path, "compare", "before", "after", "--gate", "one.p50 < 60s", "--format", "json")
    assert held.returncode == 0
    gate = json.loads(held.stdout)["gates"][0]
    assert (gate["expression"], gate["ok"]) == ("one.p50 < 60s", True)
    assert gate["value"] > 0
    broken = dbtune(
        tmp_path, "compare", "before", "after", "--gate", "one.p50 < 1us", "--gate", "x.p95 < 1s", "--format", "github"
    )
    assert broken.returncode == 1
    assert broken.stdout.count("::error title=gate") == 2
    wrong = dbtune(tmp_path, "compare", "before", "after", "--gate", "one.p50 < 3 parsecs")
    assert wrong.returncode == 2
    assert "column 13" in wrong.stderr


def test_a_baseline_is_reported_followed_exported_and_pruned(database: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        dbtune(tmp_path, "capture", name, "--postgres", database, "--probe", "one=select 1", "--repeat", "40")
    page = dbtune(tmp_path, "report", "one", "two", "--output", "r.html")
    assert (page.returncode, (tmp_path / "r.html").exists()) == (0, True)
    points = json.loads(dbtune(tmp_path, "trend", "one.p50", "--format", "json").stdout)["points"]
    assert [point["name"] for point in points] == ["one", "two"]
    assert "latency" in json.loads(dbtune(tmp_path, "export", "one", "--to", "bencher").stdout)["one"]
    assert dbtune(tmp_path, "prune", "--keep", "1", "--dry-run").stdout == "one\n"
    assert dbtune(tmp_path, "prune", "--keep", "1", "--yes").stdout == "one\n"
    assert [path.stem for path in (tmp_path / ".dbtune" / "baselines").glob("*.json")] == ["two"]


def test_the_same_state_measured_twice_is_said_to_be_the_same(database: str, tmp_path: Path) -> None:
    done = dbtune(tmp_path, "selfcheck", "--postgres", database, "--runs", "3", "--repeat", "20", "--format", "json")
    document = json.loads(done.stdout)
    assert document["runs"] == 3
    assert document["false_verdict_rate"] == document["false_verdicts"] / 3
    assert done.returncode == (0 if document["false_verdict_rate"] <= 0.05 else 1)


def test_a_regression_is_annotated_and_summarized_for_github(tmp_path: Path) -> None:
    directory = tmp_path / ".dbtune" / "baselines"
    for name, level, minute in (("quick", 0.01, 0), ("slow", 0.05, 1)):
        blocks = tuple(tuple(level * (1 + place % 7 / 100) for place in range(80)) for _ in range(6))
        at = datetime(2026, 1, 1, 12, minute, tzinfo=UTC)
        print_ = Fingerprint(180000, "app", 5, "71", at, 1 << 30, None, {})
        save(
            Capture(SCHEMA, "0.1.0", name, "app@db", at, 1.0, print_, timings=(Timing("feed", blocks, "t"),)), directory
        )
    summary = tmp_path / "summary.md"
    done = forks.run(
        ["baseline", "compare", "quick", "slow", "--fail-on", "regression", "--format", "github"],
        cwd=tmp_path, env={**os.environ, "GITHUB_STEP_SUMMARY": str(summary)},
    )  # fmt: skip
    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if line.startswith("::error title=regressed")]
    assert [line.split("::")[1].partition(" ")[2] for line in errors] == [
        "title=regressed%3A feed.p50", "title=regressed%3A feed.p95", "title=regressed%3A feed.p99",
    ]  # fmt: skip
    assert "regressed" in summary.read_text()
    held = dbtune(tmp_path, "compare", "slow", "quick", "--fail-on", "regression", "--format", "github")
    assert (held.returncode, held.stdout.count("::error")) == (0, 0)
