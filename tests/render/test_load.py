"""A load in each of its forms, with texts that mean harm."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from dbtune.core.formats import OutputFormat, Screen
from dbtune.load.judgement import Expectation, judge
from dbtune.load.recorder import Recorder, Seen
from dbtune.load.report import LoadOutcome, LoadReport, by_stage
from dbtune.load.stages import Stage, segments
from dbtune.load.timeline import timeline
from dbtune.render import load_words as words
from dbtune.render.loads import LOAD

HOSTILE = "<script>alert(1)</script>\x1b[31m `x` | @everybody\n# title"
MET = Expectation("latency", "latency", "p(95)<5s")
MISSED = Expectation("errors", "errors", "rate<0.1%")


def report(seconds: int = 600, *, rate: float | None = 50) -> LoadReport:
    half = Stage.model_validate({"duration": f"{seconds / 2}s", "clients": 3, "rate": rate})
    recorder = Recorder([HOSTILE, "b"], timeline(segments([half, half])))
    for second in range(seconds):
        if second % 10 == 5:
            continue
        service = None if rate is None else 1000
        recorder.add(Seen(second % 2, second + 0.5, 1000 + second * 10, service, count=7))
    recorder.fail(0, 3.0, HOSTILE, 200)
    recorder.worked(0, seconds, seconds)
    result = recorder.result("l", "pgbench prepared", "closed" if rate is None else "open", "two halves")
    outcome = LoadOutcome(
        id="l", name=HOSTILE, result=result, stages=by_stage(result, ("first", HOSTILE)),
        thresholds=judge((MET, MISSED), result, None), broken=(HOSTILE,), notes=(HOSTILE,), engine_version="18.6",
    )  # fmt: skip
    return LoadReport(HOSTILE, HOSTILE, datetime(2026, 1, 2, tzinfo=UTC), 1.0, (outcome,))


def rendered(form: OutputFormat, width: int = 80) -> str:
    return LOAD[form](report(), Screen(width=width))


def test_the_page_is_one_file_without_a_script() -> None:
    page = rendered("html")
    assert "<script" not in page
    assert "\x1b" not in page
    assert "style=" not in page
    assert len(page) < 200_000
    assert not re.search(r'(?:src|href)="?http', page)


def test_every_chart_has_a_title_and_a_description() -> None:
    page = rendered("html")
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        assert 'role="img"' in chart
        assert re.search(r"<title id=[^>]+>[^<]+</title>", chart)
        assert re.search(r"<desc id=[^>]+>[^<]+</desc>", chart)
        assert "nan" not in chart.lower()
    assert "The course as a table" in page


def test_a_time_of_no_microsecond_has_no_digits() -> None:
    assert [words.time(value) for value in (None, 0.0, 0.000_012)] == ["–", "0µs", "12.0µs"]


def test_a_short_load_has_a_page_too() -> None:
    page = LOAD["html"](report(2), Screen())
    assert "<h2>Times</h2>" in page


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_form_keeps_to_its_width(width: int) -> None:
    text = rendered("terminal", width)
    assert "FAILED" in text
    assert "\x1b" not in text
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


def test_markdown_cannot_be_broken_out_of() -> None:
    text = rendered("markdown")
    assert "<script>" not in text
    assert "\n# title" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {5, 9, 12}


def test_junit_has_a_case_for_each_threshold_and_one_for_the_load() -> None:
    (suite,) = ET.fromstring(rendered("junit"))  # noqa: S314 - our own
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["3", "1", "1"]
    assert len(suite.findall("testcase/error")) == len(suite.findall("testcase/failure")) == 1


def test_annotations_are_one_line_each_and_name_what_was_missed() -> None:
    lines = rendered("github").splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::warning", "::notice"]
    assert "missed: errors: rate<0.1%25" in lines[1]
    assert "failed: " in lines[3]


def test_json_is_whole_and_finite() -> None:
    document = json.loads(rendered("json"), parse_constant=pytest.fail)
    assert {"schema", "dbtune", "target", "started_at", "duration_s"} <= set(document)
    step = document["steps"][0]
    assert step["errors_rate"] == pytest.approx(200 / step["requests"])
    assert step["service"]["p95_s"] == pytest.approx(0.001)
