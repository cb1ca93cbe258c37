"""Every form of an audit, with texts that try to break out of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbtune import __version__
from dbtune.checks.check import checks, documentation
from dbtune.core.findings import AuditReport, Finding, Fix, Unexamined
from dbtune.core.formats import OutputFormat, Screen
from dbtune.core.rulebook import Entry, Rulebook
from dbtune.render import rules
from dbtune.render.audits import RENDERERS

HOSTILE = (
    "<script>alert('x')</script> | a`b`c **bold** [link](http://x)\n::error::\x1b[31mred\x1b]0;title\x07\u202e & done"
)
SNAPSHOTS = Path(__file__).with_name("snapshots")
REPORT = AuditReport(
    target="app@db:5432 and cache:6379/0",
    started_at=datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC),
    duration_s=1.25,
    findings=(
        Finding(
            "RD001",
            "cache-memory-unbounded",
            "critical",
            "cache:6379/0",
            "maxmemory is 0: nothing limits the memory, of which 1.20 GB are used",
            evidence={"maxmemory_bytes": 0, "used_memory_bytes": 1_288_490_188, "policy": "noeviction"},
            fix=Fix(sql=("CONFIG SET maxmemory 18957385728", "CONFIG REWRITE")),
        ),
        Finding(
            "PG007",
            "missing-foreign-key-index",
            "warning",
            "public.orders.orders_user_id_fkey",
            "no index begins with user_id, which references users; 2000000 rows",
            evidence={
                "rows": 2_000_000.0,
                "queryid": -(2**62),
                "share": 0.4321,
                "parent": {"queryid": "1", "none": None},
            },
            fix=Fix(
                sql=('create index concurrently "orders_user_id_idx" on "public"."orders" ("user_id");',),
                step={"index": {"table": '"public"."orders"', "columns": [{"name": "user_id"}]}},
                safe=True,
            ),
        ),
        Finding(
            "PG201",
            HOSTILE,
            "warning",
            HOSTILE,
            HOSTILE,
            evidence={HOSTILE: HOSTILE, "queries": [HOSTILE, HOSTILE], "mean_ms": 12.5, "found": True},
            fix=Fix(sql=(f"select '{HOSTILE}'",)),
            confidence="heuristic",
        ),
        Finding("PG142", "work-mem-default", "info", "work_mem", "work_mem has its default", confidence="simulated"),
    ),
    skipped=(
        *(Unexamined(code, "no window", "give --window 60s") for code in ("RD004", "RD007", "RD017", "PG201")),
        Unexamined("PG101", HOSTILE, HOSTILE),
        Unexamined("PG999", "a check of another version"),
    ),
    examined=("PG001", "PG007", "PG142", "RD001"),
    accepted=2,
    notes=(HOSTILE,),
)
MANY = AuditReport(
    "t",
    REPORT.started_at,
    1,
    tuple(Finding("PG001", "unused-index", "warning", f"i{n}", "m") for n in range(50)),
    (),
    (),
)
NOTHING = AuditReport("t", REPORT.started_at, 0.5, (), (), ("PG001",))


def render(report: AuditReport, form: OutputFormat, screen: Screen | None = None) -> str:
    return RENDERERS[form](report, screen or Screen())


@pytest.mark.parametrize("form", [form for form in RENDERERS if form != "html"])
def test_each_form_reads_as_it_was_reviewed(form: OutputFormat) -> None:
    """To renew the snapshots: delete them and run once; then read the difference."""
    report = REPORT
    if form == "sarif":  # the rules' documentation is the checks' own affair
        report = AuditReport(report.target, report.started_at, 1, report.findings[2:3], report.skipped, report.examined)
    text = render(report, form).replace(f'"{__version__}"', '"VERSION"')
    if form == "sarif":
        document = json.loads(text)
        for rule in document["runs"][0]["tool"]["driver"]["rules"]:
            rule["shortDescription"] = rule["help"] = "from the docstring"
        text = json.dumps(document, indent=2, ensure_ascii=False)
    snapshot = SNAPSHOTS / f"audit.{form}.txt"
    if not snapshot.exists():
        snapshot.write_text(text, encoding="utf-8")
        pytest.fail(f"{snapshot.name} was written: review it and run again")
    assert text == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("verbose", [False, True])
def test_the_terminal_form_keeps_to_the_width_and_needs_no_colour(width: int, *, verbose: bool) -> None:
    text = render(REPORT, "terminal", Screen(width=width, verbose=verbose))
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    assert text.index("critical (1)") < text.index("warning (2)") < text.index("info (1)") < text.index("not examined")


def test_colour_adds_nothing_but_colour() -> None:
    plain = render(REPORT, "terminal")
    coloured = render(REPORT, "terminal", Screen(colour=True))
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


def test_many_findings_of_one_check_are_told_short_unless_asked_for() -> None:
    assert "and 40 more of PG001 unused-index: --verbose shows them" in render(MANY, "terminal")
    assert "i49" in render(MANY, "terminal", Screen(verbose=True))
    assert all("i49" in render(MANY, form) for form in RENDERERS if form != "terminal")


def test_equal_reasons_for_not_looking_are_told_once_with_every_check() -> None:
    text = render(REPORT, "terminal")
    assert text.count("give --window 60s") == 1
    assert "RD004 RD007 RD017 PG201" in text


def test_nothing_found_is_said() -> None:
    assert "Nothing found. 1 check looked. Took 500ms." in render(NOTHING, "terminal")
    assert "Nothing found" in render(NOTHING, "html")


def test_the_json_document_keeps_the_contract() -> None:
    document = json.loads(render(REPORT, "json"))
    assert document["schema"] == "dbtune.audit/1"
    assert document["summary"] == {
        "critical": 1, "warning": 2, "info": 1, "examined": 4, "skipped": 6, "accepted": 2,
    }  # fmt: skip
    first, second, third, fourth = document["findings"]
    assert second["evidence"]["queryid"] == str(-(2**62))
    assert second["fix"]["step"] == {"index": {"table": '"public"."orders"', "columns": [{"name": "user_id"}]}}
    assert third["message"] == HOSTILE, "data stays as it is: a JSON parser is not deceived"
    assert fourth["fix"] is None
    assert first["fix"]["sql"] == ["CONFIG SET maxmemory 18957385728", "CONFIG REWRITE"]


def test_the_page_is_self_contained_and_escapes_everything() -> None:
    page = render(REPORT, "html")
    tags: list[str] = []
    attributes: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            attributes.extend(name for name, _ in attrs)

    Parser().feed(page)
    assert "script" not in tags
    assert not {"src", "href", "onclick", "onload", "style"} & set(attributes)
    assert "default-src 'none'" in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_sarif_has_what_its_readers_require() -> None:
    document = json.loads(render(REPORT, "sarif"))
    assert document["version"] == "2.1.0"
    run = document["runs"][0]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(ids) == len(set(ids))
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", uri)
    prints = [result["partialFingerprints"]["dbtune/1"] for result in run["results"]]
    assert len(prints) == len(set(prints))
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert len(notes) == len(REPORT.skipped) + len(REPORT.notes)
    assert all(note["level"] == "note" and note["message"]["text"] for note in notes)


def test_junit_fails_for_flaws_and_passes_for_what_is_in_order() -> None:
    suite = fromstring(render(REPORT, "junit"))[0]  # noqa: S314 - our own document
    cases = suite.findall("testcase")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(cases)), "3", "6")
    assert [child.tag for case in cases for child in case].count("failure") == 3
    assert "PG001 unused-index" in {case.get("name") for case in cases if len(case) == 0}


def test_a_text_cannot_add_an_annotation_of_its_own() -> None:
    lines = render(REPORT, "github").splitlines()
    assert [line.split()[0] for line in lines] == ["::error", "::warning", "::warning", *["::notice"] * 6]


def test_markdown_shows_no_markup_of_others() -> None:
    text = render(REPORT, "markdown")
    outside = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script>" not in outside.replace("\\<script\\>", "")
    assert "**bold**" not in outside


@pytest.mark.parametrize("form", RENDERERS)
@settings(max_examples=40)
@given(text=st.text())
def test_any_text_whatever_is_rendered(form: OutputFormat, text: str) -> None:
    finding = Finding(text, text, "warning", text, text, evidence={text: text, "list": [text]}, fix=Fix((text,)))
    report = AuditReport(
        text, REPORT.started_at, 1, (finding,), (Unexamined(text, text, text),), (text,), notes=(text,)
    )
    rendered = render(report, form)
    assert rendered.encode()
    if form == "junit":
        fromstring(rendered)  # noqa: S314
    if form in {"json", "sarif"}:
        json.loads(rendered)
    else:
        assert "\x1b" not in rendered


def test_every_rule_is_shown_in_every_form() -> None:
    known = [Entry(one.code, one.name, one.severity, "PostgreSQL", documentation(one)) for one in checks().values()]
    book = Rulebook(datetime(2026, 1, 1, tzinfo=UTC), 0.1, tuple(known))
    for form, show in rules.RENDERERS.items():
        text = show(book, Screen())
        assert all(entry.code in text for entry in known), form
    assert max(map(len, rules.terminal(book, Screen()).splitlines())) <= 80
