"""Advice in each form: the contract of its JSON, and lines that stay within the screen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbtune.advisor.advice import Advice, Drop, Explanation, Recommendation, Rejected, Served, Timing
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.workload import NotExamined
from dbtune.core.findings import Unexamined
from dbtune.core.formats import OutputFormat, Screen
from dbtune.plans.saved import read_plans
from dbtune.render.advice import RENDERERS

LONG = "select * from orders where customer_id = $1 and placed_at > now() - interval '1 day' " * 4
PARTIAL = IndexDefinition(
    "shop",
    "orders",
    (IndexKey("customer_id"), IndexKey(expression="lower(note)", descending=True, nulls_first=False)),
    include=("total",),
    where="deleted_at IS NULL",
)
ROUGH = IndexDefinition("shop", "products", (IndexKey("tags"),), method="gin")


def advice() -> Advice:
    plan = read_plans(json.dumps({"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Total Cost": 9000.0}}))
    served = Served(LONG, 1200, 9000.0, 12.5, "-42", "/var/log/slow.sql:3 (a/b)", 0.2, 0.001)
    return Advice(
        target="postgresql://db/shop",
        started_at=datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
        duration_s=1.5,
        recommendations=(
            Recommendation(PARTIAL, "orders_customer_idx", 8 << 20, 2.0, 40.0, 1e6, (served,), "equality", "measured"),
            Recommendation(ROUGH, "products_tags_idx", 1 << 20, 1.0, 0.0, 10.0, (), "an array", "heuristic"),
        ),
        drops=(Drop("shop", "old", "orders", 'drop index "shop"."old"', 1 << 20, "twice", "simulated", "orders_pkey"),),
        cost_before=1e7,
        cost_after=2e4,
        statements=7,
        examined_share=0.9,
        not_examined=(
            NotExamined("vacuum", "it has no plan", "7", 3.0, "slow.sql:9"),
            NotExamined("begin", "it has no plan"),
        ),
        gaps=(Unexamined("extension postgis", "the twin has no such extension", "ask elsewhere"),),
        rejected=(Rejected(ROUGH, "slow_idx", "it made a statement slower"),),
        timings=(Timing(LONG, 1200, 0.2, 0.001), Timing("select | `<b>`\nfrom t", 1, 3.0, 0.5, is_cut=True)),
        explanations=(Explanation("orders_customer_idx", LONG, plan[0], plan[0]),),
        notes=("the time was over",),
    )


def test_the_json_has_every_field_that_others_build_on() -> None:
    document = json.loads(RENDERERS["json"](advice(), Screen()))
    assert {"schema", "dbtune", "target", "started_at", "duration_s"} < set(document)
    assert document["schema"] == "dbtune.advise/1"
    first, second = document["recommendations"]
    wanted = "table columns method include where unique ddl size_bytes write_cost benefit queries confidence"
    assert set(wanted.split()) < set(first)
    assert first["columns"] == [
        {"name": "customer_id", "order": "asc"},
        {"expression": "lower(note)", "order": "desc nulls last"},
    ]
    assert (first["table"], first["method"], first["include"]) == ("shop.orders", "btree", ["total"])
    assert (first["where"], first["unique"], second["where"]) == ("deleted_at IS NULL", False, None)
    assert first["ddl"].startswith("create index concurrently")
    assert {one["confidence"] for one in (first, second)} == {"measured", "heuristic"}
    (served,) = first["queries"]
    assert {"queryid", "query", "calls", "cost_before", "cost_after"} < set(served)
    assert served["queryid"] == "-42", "64 bits are text"
    (drop,) = document["drops"]
    assert {"name", "table", "ddl", "size_bytes", "reason", "replaced_by", "confidence"} < set(drop)
    assert drop["table"] == "shop.orders"
    assert {"cost_before", "cost_after", "statements"} < set(document["workload"])
    assert [one["share"] for one in document["recommendations"]] == [0.1, 1e-6]
    assert [(one["before_s"], one["before_cut"], one["after_s"]) for one in document["timings"]] == [
        (0.2, False, 0.001),
        (3.0, True, 0.5),
    ]
    assert [one.get("place") for one in document["not_examined"]] == ["slow.sql:9", None, None]
    assert [(one["query"], bool(one["reason"])) for one in document["not_examined"]] == [
        ("vacuum", True),
        ("begin", True),
        (None, True),
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_terminal_s_lines_fit_and_the_statements_can_be_copied(width: int) -> None:
    text = RENDERERS["terminal"](advice(), Screen(width=width))
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    joined = " ".join(text.split())
    assert 'create index concurrently "orders_customer_idx" on "shop"."orders"' in joined
    assert "2 statements: it has no plan (such as slow.sql:9: vacuum)" in joined
    assert "Number 2 brings less than 1 % and takes 1.00 MB" in joined
    assert "200 times as fast" in joined
    assert "1 existing index can go" in joined
    assert "/var/log" not in joined
    assert "shop.products gin (tags), slow_idx: it made a statement slower" in joined
    assert "the time was over" in joined


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (f"SELECT {', '.join(f't.column_{n}' for n in range(9))} FROM t WHERE t.a = $1", "SELECT … FROM t WHERE t.a"),
        ("with w as (select 1 from u where aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1) select 2 from w", "with w as (select 1"),
        ("select (select max(x) from u), 'from', a from t where b = 1", "select (select max(x) from u), 'from', a"),
    ],
)
def test_what_tells_statements_apart_is_seen(statement: str, shown: str) -> None:
    first = replace(advice().recommendations[0], queries=(Served(statement, 5, 100.0, 1.0),))
    found = replace(advice(), recommendations=(first,))
    assert shown in RENDERERS["terminal"](found, Screen(width=100))
    assert statement in " ".join(RENDERERS["terminal"](found, Screen(width=5000, verbose=True)).split())


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_documents_say_all_of_it(form: OutputFormat) -> None:
    text = RENDERERS[form](advice(), Screen())
    for said in ("orders_customer_idx", "slower", "twice", "Not examined", "the time was over", "Why"):
        assert said in text, said
    for said in ("Number 2 brings less than 1 %", "200 times as fast", "over 3.00s"):
        assert said in text, said


def test_a_statement_with_marks_of_its_own_breaks_no_table() -> None:
    rows = [line for line in RENDERERS["markdown"](advice(), Screen()).splitlines() if "from t" in line]
    assert rows == ["| 1 | over 3.00s | 500ms | 6 times as fast | select \\| \\`\\<b\\>\\` from t |"]
    assert "<b>" not in RENDERERS["html"](advice(), Screen())


def test_whoever_leaves_an_index_out_is_told_to_keep_what_it_replaces() -> None:
    said = "it may be left out, and what it replaces must then stay"
    assert said not in " ".join(RENDERERS["terminal"](advice(), Screen()).split())
    replaced = replace(advice(), drops=(replace(advice().drops[0], replaced_by="products_tags_idx"),))
    assert said in " ".join(RENDERERS["terminal"](replaced, Screen()).split())


def test_a_worth_of_less_than_one_percent_never_looks_like_one() -> None:
    first, second = advice().recommendations
    found = replace(advice(), recommendations=(first, replace(second, benefit=99_970.0)))
    assert "0.99 %" in RENDERERS["terminal"](found, Screen())


def test_a_tree_keeps_to_its_lines() -> None:
    document = {"Node Type": "Seq Scan", "Relation Name": "x" * 90, "Schema": "public", "Total Cost": 9000.0}
    (plan,) = read_plans(json.dumps({"Plan": document}))
    found = replace(advice(), explanations=(Explanation("orders_customer_idx", "select 1", plan, plan),))
    shown = [line for line in RENDERERS["terminal"](found, Screen(width=80)).splitlines() if "xxx" in line]
    assert [line[-1] for line in shown] == ["…", "…"]
