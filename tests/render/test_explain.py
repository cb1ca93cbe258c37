"""An explained statement in each form: texts stay data, lines stay within the screen."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from dbtune.core.formats import OutputFormat, Screen
from dbtune.plans.insight import Surroundings, look_into
from dbtune.plans.report import ExplainReport
from dbtune.plans.saved import read_plans
from dbtune.render.explain import RENDERERS

HOSTILE = "<script>alert(1)</script>|`x`\x1b[31mred\x1b[0m\u202e ![a](http://evil.example)"


def report(*, depth: int = 3, width: int = 1) -> ExplainReport:
    """A plan whose every text comes from a stranger."""
    scan = {
        "Node Type": "Seq Scan", "Relation Name": HOSTILE, "Schema": HOSTILE, "Alias": "a\nb",
        "Filter": f"(x = '{HOSTILE}\n')",
        "Startup Cost": 0.0, "Total Cost": 1000.0, "Plan Rows": 3, "Plan Width": 4, "Actual Total Time": 90.0,
        "Actual Rows": 90, "Actual Loops": 1, "Rows Removed by Filter": 100_000, "Shared Hit Blocks": 5000,
    }  # fmt: skip
    node = scan
    for _ in range(depth):
        node = {
            "Node Type": "Sort", "Sort Key": [HOSTILE], "Total Cost": 1100.0, "Plan Rows": 3,
            "Actual Total Time": 100.0, "Actual Rows": 90, "Actual Loops": 1, "Shared Hit Blocks": 5000,
            "Plans": [node] * width,
        }  # fmt: skip
    plan = read_plans(json.dumps({"Plan": node, "Execution Time": 101.0, "Planning Time": 1.0}))[0]
    insights = look_into(plan, Surroundings(statement=HOSTILE))
    return ExplainReport(
        HOSTILE, datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC), 0.1, HOSTILE, plan, insights, (HOSTILE,)
    )


@pytest.mark.parametrize("depth", [0, 3, 40, 190])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_terminal_s_tree_fits_its_screen_and_needs_no_colour(depth: int, width: int) -> None:
    text = RENDERERS["terminal"](report(depth=depth), Screen(width=width))
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "» " in text or depth == 0
    assert "PL019" in text


def test_colour_is_added_where_it_can_be_seen_and_none_of_a_stranger_s() -> None:
    text = RENDERERS["terminal"](report(), Screen(colour=True))
    assert "\x1b[" in text
    assert "\x1b[31mred" not in text


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_no_text_breaks_out(form: OutputFormat) -> None:
    text = RENDERERS[form](report(), Screen())
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL) if form == "markdown" else text
    assert "<script" not in outside.replace(r"\<", "")
    assert "\x1b" not in text
    assert "![a](" not in outside or form == "html"


def test_a_page_is_one_file_without_scripts_or_styles_of_its_own() -> None:
    page = RENDERERS["html"](report(), Screen())
    assert "style=" not in page
    assert "http://" not in re.sub(
        r"<(pre|code|div|td|th|h1|p|strong|title|h3|a)[ >].*?</\1>", "", page, flags=re.DOTALL
    )
    assert 'href="#node-' in page


def test_json_keeps_the_plan_in_postgresql_s_words_and_adds_what_was_reckoned() -> None:
    document = json.loads(RENDERERS["json"](report(depth=190), Screen()))
    assert document["schema"] == "dbtune.explain/1"
    assert document["plan"]["Plan"]["Node Type"] == "Sort"
    assert [node["number"] for node in document["nodes"]] == list(range(1, 192))
    assert document["nodes"][-1]["self_s"] == pytest.approx(0.09)
    assert {insight["code"] for insight in document["insights"]} >= {"PL004", "PL019", "PL028"}


def test_a_table_of_markdown_has_a_row_for_each_node() -> None:
    text = RENDERERS["markdown"](report(width=2, depth=2), Screen())
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(rows) == 7
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 9 for row in rows)
