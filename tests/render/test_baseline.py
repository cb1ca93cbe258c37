"""Every form of a comparison, with texts that try to be more than data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from dbtune.baseline.capture import SCHEMA, Capture, Change, Fingerprint, NamedPlan
from dbtune.baseline.histogram import of_values
from dbtune.baseline.load_result import LoadBlock, LoadMoment, LoadResult
from dbtune.baseline.outcome import (
    Comparison,
    Distribution,
    Gate,
    LoadPair,
    Metric,
    NewIndex,
    Note,
    PlanChange,
    Side,
    Split,
    StatementChange,
    StatementSide,
    TableChange,
    Trust,
)
from dbtune.baseline.statistics import Interval
from dbtune.core.formats import OutputFormat, Screen
from dbtune.render.baseline import COMPARISON
from dbtune.render.baseline_captures import SHOW
from dbtune.render.baseline_words import blocks, calls, change, indexes, percent
from dbtune.render.charts import Span, curves, dumbbell

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOSTILE = (
    "select '<script>alert(1)</script>' \x1b[31m| \x1b]0;owned\x07 `x` **b** | \n\n# h \u202e \" onload=x {{ 7 * 7 }}"
)
FORMS: list[OutputFormat] = ["terminal", "json", "markdown", "html", "junit", "github"]


def metric(name: str = "feed.p50", **changes: object) -> Metric:
    whole = Metric(
        name, "s", "lower", 0.0124, 0.0031, "improved", -0.75, Interval(-0.77, -0.72), 6, 6,
        Interval(0.0122, 0.0126), Interval(0.003, 0.0032), 0.0004, 0.0005,
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


def comparison(text: str) -> Comparison:
    side = StatementSide(100, 20.0, 0.0124, 0.25, 1.0, 512.0, 0.0, 0.0, None, None, 0.2, partial=False)
    statement = StatementChange(
        ("-9123456789012345678",),
        text,
        text,
        toplevel=True,
        matched_by="queryid",
        before=side,
        after=side,
        time=metric("time_per_call"),
        split=Split(0.1, -0.2),
        plan=PlanChange(text, text, (f"Seq Scan on {text}",), (f"Index Scan using {text}",), 10.0, 1.0, (0,), (0,)),
        indexes_before=(),
        indexes_after=(text,),
        causes=(f'{text}: "{text}" made {text}',),
    )
    load = LoadResult(
        text, "pgbench", "open", text, (LoadBlock(0.0, 5.0, 10, 1, 2, of_values([0.01, 0.02])),),
        series=tuple(LoadMoment(float(second), 1.0, 100.0, p99_s=0.01 * second) for second in range(1, 9)),
        errors={text: 1},
    )  # fmt: skip
    capture = Side(text, NOW, 30.0, 6, 30.0, 180006, 1 << 30)
    return Comparison(
        target=text, started_at=NOW, duration_s=0.1, before=capture, after=capture, margin=0.05, noise=0.05,
        metrics=(metric(f"{text}.p50"), metric("cache.hit_rate", unit="share", before=0.0, after=0.9, change=0.9)),
        statements=(statement, replace(statement, query=None)),
        tables=(TableChange(text, 10.0, 1.0, 0.0, 5.0, (text,)),),
        plans=(PlanChange(text, text, (f"Seq Scan on {text}",), (f"Index Scan using {text}",), 10.0, 1.0),),
        distributions=(Distribution(text, (0.01, 0.02), (0.001, 0.002)),),
        geometric_mean={"timings": 0.25}, split=Split(0.1, -0.2),
        gates=(
            Gate(text, ok=True, value=0.01, unit="s", limit=0.02, before=0.05),
            Gate(text, ok=False, value=None, reason=text),
        ),
        trust=Trust((Note("warning", text, text, text),), {"work_mem": ("4MB", text)}, 1.0, 0.9),
        verdict="improved",
        loads=(LoadPair(text, load, load),),
        new_indexes=(NewIndex(text, text, text, 1 << 20, 0.4, 12, text),),
        changes=(Change(text, text, text, "setting", NOW, (text,)),),
    )  # fmt: skip


def rendered(form: OutputFormat, text: str = "select 1", screen: Screen | None = None) -> str:
    return COMPARISON[form](comparison(text), screen or Screen())


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.mark.parametrize("form", FORMS)
def test_hostile_texts_stay_data(form: OutputFormat) -> None:
    text = rendered(form, HOSTILE)
    if form != "json":
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "7 * 7" in text.replace("\\", "")
    if form == "html":
        page = Page()
        page.feed(text)
        assert "script" not in page.tags
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
        assert "&lt;script&gt;" in text
    if form == "markdown":
        assert "<script>" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    if form == "json":
        assert json.loads(text)["statements"][0]["query"] == HOSTILE


def test_rows_of_a_markdown_table_have_as_many_cells_as_its_head() -> None:
    rows = [line for line in rendered("markdown", HOSTILE).splitlines() if line.startswith("|")]
    cells = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert set(cells[:4]) == {4}
    assert set(cells[4:8]) == {7}
    assert set(cells[8:]) == {8}


@pytest.mark.parametrize("text", ["select 1", HOSTILE, "select " + "x, " * 400])
def test_the_terminal_form_fits_80_columns(text: str) -> None:
    assert max(map(len, rendered("terminal", text).splitlines())) <= 80


def test_no_verdict_is_cut_off_however_long_the_figures_are() -> None:
    long = metric(
        before=0.0980, after=0.000999, n_before=1_234_567, n_after=7_654_321, verdict="inconclusive",
        before_interval=Interval(0.0001, 2.9), after_interval=Interval(0.00001, 0.0165),
    )  # fmt: skip
    whole = replace(comparison("select 1"), metrics=(long, replace(long, n_before=6856, n_after=4844)))
    lines = COMPARISON["terminal"](whole, Screen()).splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("p50")] == ["inconclusive", "inconclusive"]
    assert max(map(len, lines)) <= 80


def test_what_has_no_plan_is_not_said_to_use_no_index() -> None:
    statement = comparison("select 1").statements[0]
    assert statement.plan is not None
    assert indexes(statement) == ("none", "select 1")
    unknown = replace(statement, plan=replace(statement.plan, before=None))
    assert indexes(unknown) == ("–", "select 1")


def test_many_calls_are_counted_in_digits() -> None:
    statement = comparison("select 1").statements[0]
    side = replace(statement.before, calls_per_s=7388.4, blocks_per_call=1090.2)  # type: ignore[type-var]
    assert calls(replace(statement, after=side)) == "20/s → 7,388/s"
    assert blocks(replace(statement, before=side)).startswith("1,090 → ")


def test_plans_of_busy_statements_are_counted_and_not_listed_by_number() -> None:
    plans = (NamedPlan("feed", "select 1", {}), *(NamedPlan(str(place), "select 1", {}, str(place)) for place in "ab"))
    print_ = Fingerprint(180000, "app", 5, "71", NOW, 1 << 30, None, {})
    kept = Capture(SCHEMA, "0.1.0", "before", "app@db", NOW, 1.0, print_, plans=plans)
    lines = SHOW["terminal"](kept, Screen()).splitlines()
    assert lines[-2:] == ["  plan of feed", "  2 plans of the busiest statements"]


def test_it_is_printed_as_benchstat_does() -> None:
    assert re.search(r"p50 +12\.4ms ±2% +3\.10ms ±3% +−75% \[−77,−72\] +n=6\+6 +improved", rendered("terminal"))


def test_the_page_allows_nothing_but_its_own_style_sheet() -> None:
    text = rendered("html")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text.replace("&#39;", "'").replace("&#x27;", "'")
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_every_chart_has_a_role_a_title_a_description_and_a_table() -> None:
    text = rendered("html")
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 5
    for chart in charts:
        assert 'role="img"' in chart
        assert re.search(r"<title[^>]*>[^<]+</title>", chart)
        assert re.search(r"<desc[^>]*>[^<]+</desc>", chart)
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert text.count("<table") >= 3
    assert text.count("<summary>As a table") == 3


def test_two_hundred_statements_stay_within_500_kb() -> None:
    one = comparison("select a, b, c from a_table_of_some_length where id = $1 order by created_at desc limit $2 " * 3)
    many = replace(one, statements=one.statements[:1] * 200)
    assert len(COMPARISON["html"](many, Screen()).encode()) < 500_000


def test_json_follows_the_contract() -> None:
    document = json.loads(rendered("json"))
    assert {"schema", "dbtune", "target", "started_at", "duration_s"} <= set(document)
    assert document["schema"] == "dbtune.baseline.compare/1"
    assert document["metrics"][0]["interval"] == [-0.77, -0.72]
    names = {"name", "unit", "before", "after", "change", "interval", "n_before", "n_after", "verdict"}
    assert names <= set(document["metrics"][0])
    assert [(gate["expression"], gate["ok"], gate["value"]) for gate in document["gates"]] == [
        ("select 1", True, 0.01), ("select 1", False, None),
    ]  # fmt: skip
    assert document["statements"][0]["causes"] == ['select 1: "select 1" made select 1']
    assert document["loads"][0]["after"]["sent"] == 10
    assert document["verdict"] == "improved"
    assert document["statements"][0]["queryid"] == "-9123456789012345678"


@pytest.mark.parametrize("form", [form for form in FORMS if form != "junit"])
def test_a_comparison_of_nothing_is_rendered(form: OutputFormat) -> None:
    empty = replace(
        comparison("x"), metrics=(), statements=(), tables=(), plans=(), distributions=(), geometric_mean={},
        split=None, trust=Trust((), {}, None, None), verdict="inconclusive",
    )  # fmt: skip
    assert "inconclusive" in COMPARISON[form](empty, Screen()).lower()


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(-0.75, "−75"), (0.032, "+3.2"), (0.0001, "0"), (-0.981, "−98.1"), (11.7, "+1170"), (-0.0004, "0")],
)
def test_changes_have_a_sign_and_two_digits(fraction: float, text: str) -> None:
    assert percent(fraction, sign=True) == text


def test_shares_change_by_points() -> None:
    assert change(metric(unit="share", change=0.15, interval=Interval(0.12, 0.18))) == "+15 pp [12,18]"


def test_times_of_zero_are_left_out_of_logarithmic_charts() -> None:
    assert dumbbell("x", "t", [Span("a", "", "open", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))]) is None
    assert curves("x", "t", (0.0,), (1.0,)) is None


def test_changed_nodes_are_marked_on_both_sides() -> None:
    page = rendered("html", "t")
    assert re.search(r'class="mark">\* Seq Scan on t', page)
    assert re.search(r'class="mark">\* Index Scan using t', page)


def test_a_junit_case_fails_for_each_gate_that_does_not_hold() -> None:
    from xml.etree import ElementTree as ET

    suite = ET.fromstring(rendered("junit", "feed"))[0]  # noqa: S314 - our own text
    assert suite.get("failures") == "1"
    assert [case.get("classname") for case in suite][:2] == ["gates", "gates"]


def test_annotations_are_one_line_each() -> None:
    assert all(line.startswith("::") for line in rendered("github", HOSTILE).splitlines())
