"""Every form of a run's report, with texts that try to break out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune import __version__
from dbtune.core.formats import OutputFormat, Screen
from dbtune.core.reports import RunReport, StepReport
from dbtune.render.runs import RENDERERS

HOSTILE = (
    "<script>alert('x')</script> | a`b`c **bold** [link](http://x)\n::error::\x1b[31mred\x1b]0;title\x07\u202e & done"
)
SNAPSHOTS = Path(__file__).with_name("snapshots")

PLAN = RunReport(
    "plan",
    "recommendation-service",
    "app@db:5432",
    datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC),
    0.1234,
    (
        StepReport(
            "newest",
            "index",
            "A user's newest interactions",
            "change",
            sql=(
                (
                    "CREATE INDEX CONCURRENTLY user_interactions_user_id_created_at_idx"
                    " ON public.user_interactions USING btree (user_id, created_at DESC)"
                ),
            ),
            lock="ShareUpdateExclusiveLock",
            size_bytes=12_345_678,
            blockers=("pid 4711 (app, idle in transaction for 3 min)",),
            notes=("the statistics of user_interactions are 3 days old",),
        ),
        StepReport(
            "memory",
            "setting",
            "setting work_mem = 64MB (database)",
            "change",
            sql=("ALTER DATABASE app SET work_mem = '64MB'",),
            before={"value": "4MB"},
            after={"value": "64MB"},
        ),
        StepReport("buffers", "setting", HOSTILE, "blocked", reason=HOSTILE, hint="ask for it", restart=True),
        StepReport("fresh", "analyze", "analyze contents", "in_sync"),
    ),
)
APPLY = RunReport(
    "apply",
    "auth | service",
    "app@db:5432",
    datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC),
    75.5,
    (
        StepReport("a", "index", "permissions by role", "applied", sql=("CREATE INDEX x",), duration_s=2.5),
        StepReport("b", "sql", HOSTILE, "failed", sql=(f"select '{HOSTILE}'",), error=HOSTILE, duration_s=0.01),
        StepReport("c", "analyze", "analyze users", "not_run", reason="an earlier step failed"),
        StepReport("d", "index", "tokens", "unchanged"),
    ),
    run_id="20260131-123005-ab12",
    playbook_hash="0" * 64,
)
FORMS = [(report, form) for report in (PLAN, APPLY) for form in RENDERERS[report.command] if form != "html"]


@pytest.mark.parametrize(("report", "form"), FORMS, ids=[f"{report.command}-{form}" for report, form in FORMS])
def test_each_form_reads_as_it_was_reviewed(report: RunReport, form: OutputFormat) -> None:
    """To renew the snapshots: delete them and run once; then read the difference."""
    text = RENDERERS[report.command][form](report, Screen()).replace(f'"{__version__}"', '"VERSION"')
    snapshot = SNAPSHOTS / f"{report.command}.{form}.txt"
    if not snapshot.exists():
        snapshot.write_text(text, encoding="utf-8")
        pytest.fail(f"{snapshot.name} was written: review it and run again")
    assert text == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize("report", [PLAN, APPLY], ids=["plan", "apply"])
@pytest.mark.parametrize("width", [80, 60])
def test_the_terminal_form_keeps_to_the_width_and_needs_no_colour(report: RunReport, width: int) -> None:
    text = RENDERERS[report.command]["terminal"](report, Screen(width=width, verbose=True))
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


def test_colour_adds_nothing_but_colour() -> None:
    plain = RENDERERS["plan"]["terminal"](PLAN, Screen())
    coloured = RENDERERS["plan"]["terminal"](PLAN, Screen(colour=True))
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()
    assert "title\x07" not in coloured


def test_a_plan_says_all_that_matters_before_a_change() -> None:
    text = " ".join(RENDERERS["plan"]["terminal"](PLAN, Screen()).split())
    for fact in ("CREATE INDEX CONCURRENTLY", "ShareUpdateExclusiveLock", "11.8 MB", "pid 4711", "3 days", "restart"):
        assert fact in text
    assert text.index("blocked (1)") < text.index("change (2)") < text.index("in sync (1)")


def test_json_has_the_envelope_and_every_step() -> None:
    document = json.loads(RENDERERS["apply"]["json"](APPLY, Screen()))
    assert document["schema"] == "dbtune.apply/1"
    assert {"dbtune", "target", "started_at", "duration_s", "run_id"} <= document.keys()
    keys = {"id", "kind", "name", "status", "sql", "before", "after", "duration_s", "error"}
    assert all(keys <= step.keys() for step in document["steps"])
    assert [step["status"] for step in document["steps"]] == ["applied", "failed", "not_run", "unchanged"]
    assert document["steps"][1]["error"] == HOSTILE, "data stays as it is: a JSON parser is not deceived"


def test_json_writes_ids_of_64_bits_as_strings_and_no_nan() -> None:
    step = StepReport("a", "explain", "a", "ok", after={"queryid": -(2**62), "rows": 7, "share": float("nan")})
    report = RunReport("verify", "p", "t", datetime(2026, 1, 1, tzinfo=UTC), 0, (step,))
    after = json.loads(RENDERERS["verify"]["json"](report, Screen()))["steps"][0]["after"]
    assert after == {"queryid": str(-(2**62)), "rows": 7, "share": None}


@pytest.mark.parametrize("report", [PLAN, APPLY], ids=["plan", "apply"])
def test_the_page_is_self_contained_and_escapes_everything(report: RunReport) -> None:
    page = RENDERERS[report.command]["html"](report, Screen())
    tags, attributes = zip(*_tags(page), strict=True)
    assert "script" not in tags
    assert not {"src", "onclick", "onload", "style"} & {name for found in attributes for name in found}
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "ALTER DATABASE app" in page or report is APPLY


def test_junit_counts_what_failed_and_what_was_left_out() -> None:
    suite = fromstring(RENDERERS["apply"]["junit"](APPLY, Screen()))[0]  # noqa: S314 - our own document
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    assert [child.tag for case in suite for child in case] == ["failure", "skipped"]


def test_a_plan_has_no_test_cases() -> None:
    assert "junit" not in RENDERERS["plan"]


def test_a_text_cannot_add_an_annotation_of_its_own() -> None:
    lines = RENDERERS["apply"]["github"](APPLY, Screen()).splitlines()
    assert [line.split()[0] for line in lines] == ["::error", "::warning", "::notice"]


@pytest.mark.parametrize("form", ["terminal", "json", "markdown", "html", "junit", "github"])
@given(text=st.text())
def test_any_text_whatever_is_rendered(form: OutputFormat, text: str) -> None:
    step = StepReport(
        text, "sql", text, "failed", sql=(text,), error=text, hint=text, notes=(text,), before={text: text}
    )
    report = RunReport("verify", text, text, datetime(2026, 1, 1, tzinfo=UTC), 1, (step,))
    rendered = RENDERERS["verify"][form](report, Screen())
    assert rendered.encode()
    if form == "junit":
        fromstring(rendered)  # noqa: S314
    if form == "json":
        json.loads(rendered)
    else:
        assert "\x1b" not in rendered


def _tags(page: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, tuple(name for name, _ in attrs)))

    Parser().feed(page)
    return iter(found)
