"""The step kind `gate`: what it accepts, and what it says of measurements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from dbtune.app.baseline_store import measured, save
from dbtune.baseline.capture import SCHEMA, Capture, Figure, Fingerprint
from dbtune.core.questions import Facts, Measured, Server
from dbtune.steps.gate import Gate
from dbtune.steps.step import Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRINT = Fingerprint(180006, "app", 5, "71", NOW, 1 << 30, None, {})


def capture(name: str, hit_rate: float, hours: int = 0) -> Capture:
    figure = Figure("hit rate", "share", "higher", (hit_rate,), "test")
    return Capture(SCHEMA, "0.1.0", name, "app@db", NOW + timedelta(hours=hours), 1.0, PRINT, figures=(figure,))


def verdict(gate: Gate, directory: Path) -> Verdict:
    question = Measured(gate.baseline, gate.after)
    server = Server(180006, "app", "me", is_superuser=False, owns_database=True, in_recovery=False)
    return gate.verify(Facts(server, {question: measured(question, directory)}))


def test_the_newest_measurement_after_the_baseline_is_judged(tmp_path: Path) -> None:
    for made in (capture("before", 0.2), capture("first", 0.5, 1), capture("second", 0.9, 2)):
        save(made, tmp_path)
    found = verdict(Gate(baseline="before", expect=("hit rate > 80%", "hit rate > baseline * 2")), tmp_path)
    assert found.ok
    assert found.after["after"] == "second"
    assert [gate["value"] for gate in found.after["gates"]] == [0.9, 0.9]


def test_a_gate_that_does_not_hold_says_value_and_limit(tmp_path: Path) -> None:
    save(capture("before", 0.2), tmp_path)
    save(capture("after", 0.3, 1), tmp_path)
    found = verdict(Gate(baseline="before", after="after", expect=("hit rate > baseline * 2",)), tmp_path)
    assert not found.ok
    assert found.reason == "hit rate > baseline * 2: 30%, where the limit is 40%"


def test_what_was_not_measured_fails(tmp_path: Path) -> None:
    save(capture("before", 0.2), tmp_path)
    assert "nothing was measured after before" in (
        verdict(Gate(baseline="before", expect=("a.p95 < 1s",)), tmp_path).reason or ""
    )
    save(capture("after", 0.3, 1), tmp_path)
    assert "no data" in (verdict(Gate(baseline="before", expect=("a.p95 < 1s",)), tmp_path).reason or "")


def test_measurements_of_different_databases_are_refused(tmp_path: Path) -> None:
    save(capture("before", 0.2), tmp_path)
    other = replace(capture("after", 0.3, 1), fingerprint=replace(PRINT, database="shop", database_oid=9))
    save(other, tmp_path)
    found = verdict(Gate(baseline="before", expect=("hit rate > 1%",)), tmp_path)
    assert "different databases" in (found.reason or "")


@pytest.mark.parametrize("expect", ["latency.p95 < 3 parsecs", "latency.p95 =< 3"])
def test_an_expression_that_does_not_parse_is_a_mistake_with_its_column(expect: str) -> None:
    with pytest.raises(ValidationError, match="column 1"):
        Gate(expect=(expect,))


def test_a_name_that_leaves_the_directory_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="not a name for a baseline"):
        Gate(baseline="../etc/passwd", expect=("a.p95 < 1s",))
