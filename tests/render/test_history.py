from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from dbtune.core.formats import OutputFormat, Screen
from dbtune.core.reports import HistoryReport, RunEntry
from dbtune.render.history import RENDERERS

START = datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC)
HISTORY = HistoryReport(
    "app@db:5432",
    START,
    0.01,
    (
        RunEntry("20260131-123005-ab12", "auth-service", "apply", "running", START, None, "ann", 7),
        RunEntry(
            "20260130-080000-cd34",
            "<b>a|b</b>\x1b[31m",
            "rollback",
            "failed",
            START,
            START + timedelta(seconds=90),
            "x" * 63,
            3,
        ),
    ),
)


@pytest.mark.parametrize("verbose", [False, True])
def test_a_run_is_found_by_its_whole_id_within_80_columns(verbose: bool) -> None:  # noqa: FBT001
    text = RENDERERS["terminal"](HISTORY, Screen(verbose=verbose))
    assert "20260131-123005-ab12" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text


def test_an_empty_journal_says_so() -> None:
    assert "no runs on app@db" in RENDERERS["terminal"](HistoryReport("app@db", START, 0, ()), Screen())


def test_json_lists_runs_with_their_moments() -> None:
    document = json.loads(RENDERERS["json"](HISTORY, Screen()))
    assert document["schema"] == "dbtune.history/1"
    assert document["runs"][0]["ended_at"] is None
    assert document["runs"][1]["ended_at"] == "2026-01-31T12:31:35+00:00"


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_playbook_s_name_cannot_break_out(form: OutputFormat) -> None:
    text = RENDERERS[form](HISTORY, Screen())
    assert "<b>" not in text
    assert "\x1b" not in text
