"""The shipped load, for real, on the sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.app.load import LoadOrder, run_into_capture, run_loads
from dbtune.app.targets import OpenTargets
from dbtune.core.progress import silent
from dbtune.core.resources import resource
from dbtune.playbook.load import load

PLAYBOOK = resource("playbooks") / "load-recommendations.yml"


@pytest.mark.slow(25)
def test_the_shipped_load_runs_on_the_sample_and_becomes_a_baseline(sample_copy: str, tmp_path: Path) -> None:
    from dbtune.app.baseline_store import load as read

    targets, order = OpenTargets(sample_copy, None), LoadOrder(load(PLAYBOOK), profile="smoke")
    report = run_into_capture(targets, order, silent, "peak", tmp_path)
    (outcome,) = report.loads
    assert outcome.broken == ()
    assert outcome.result.failed == 0
    assert {stream.name: stream.response.count > 0 for stream in outcome.result.streams} == {
        "feed": True,
        "content": True,
    }
    stored = read("peak", tmp_path)
    assert stored.loads == (outcome.result,)
    assert stored.windows >= 3
    again = run_loads(targets, LoadOrder(load(PLAYBOOK), profile="smoke", baseline=stored), silent)
    assert again.loads[0].result.profile == outcome.result.profile
