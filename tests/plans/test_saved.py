"""Plans as programs save them, each made from what the server at hand prints."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbtune.core.errors import Misused
from dbtune.plans.insight import look_into
from dbtune.plans.plan import Plan
from dbtune.plans.saved import read_plans

STATEMENT = (
    "with few as materialized (select * from s1 where a > 2) select big.k, count(*), (select max(id) from s2)"
    " from big join few on few.id = big.id left join s2 on s2.id = big.a where big.note like 'x%' or big.k = 3"
    " group by big.k order by 2 desc limit 3"
)
Cells = Callable[[str], list[Any]]


@pytest.fixture
def explained(workload: str) -> Cells:
    """The rows that EXPLAIN returns, with the options given."""

    def explain(options: str) -> list[Any]:
        with psycopg.connect(workload, autocommit=True) as session:
            return [row[0] for row in session.execute(f"explain ({options}) {STATEMENT}".encode()).fetchall()]

    return explain


def outline(plan: Plan) -> list[tuple[object, ...]]:
    return [
        (node.number, node.parent, node.title, node.subplan, node.total_cost, node.planned_rows) for node in plan.nodes
    ]


def quoted(lines: list[str]) -> str:
    """As pgAdmin copies rows."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([line] for line in lines)
    return text.getvalue()


def test_text_and_json_give_the_same_tree(explained: Cells) -> None:
    for options in ("verbose", "costs", "verbose, costs off"):
        whole = read_plans(json.dumps(explained(f"{options}, format json")[0]))[0]
        lines = read_plans("\n".join(explained(options)))[0]
        assert outline(lines) == outline(whole)
        assert [[label for label, _ in node.conditions] for node in lines.nodes] == [
            [label for label, _ in node.conditions] for node in whole.nodes
        ]


def test_an_executed_plan_has_its_times_rows_and_buffers_in_both_forms(explained: Cells) -> None:
    for form in ("text", "json"):
        rows = explained(f"analyze, buffers, verbose, format {form}")
        plan = read_plans("\n".join(rows) if form == "text" else json.dumps(rows[0]))[0]
        assert plan.execution_s
        assert plan.planning_s
        assert plan.root.rows == 3
        assert all(node.loops is not None and node.wall_s is not None for node in plan.nodes)
        assert plan.root.buffers is not None
        assert plan.root.buffers.hit + plan.root.buffers.read > 0
        assert all((node.self_s or 0) <= (node.wall_s or 0) for node in plan.nodes)


def as_pgadmin_cell(rows: list[Any]) -> str:
    return quoted([json.dumps(rows[0], indent=2)])


def as_pgadmin_csv(rows: list[Any]) -> str:
    return quoted(["QUERY PLAN", json.dumps(rows[0])])


def as_rows_of_a_driver(rows: list[Any]) -> str:
    return json.dumps([{"QUERY PLAN": rows[0]}])


def as_pgadmin_api(rows: list[Any]) -> str:
    return json.dumps({"success": 1, "data": {"result": [[rows[0]]], "rows_affected": 1}})


def as_a_string_in_json(rows: list[Any]) -> str:
    return json.dumps({"plan_json": json.dumps(rows[0])})


@pytest.mark.parametrize(
    "wrap", [as_pgadmin_cell, as_pgadmin_csv, as_rows_of_a_driver, as_pgadmin_api, as_a_string_in_json]
)
def test_json_is_found_wherever_a_program_put_it(explained: Cells, wrap: Callable[[list[Any]], str]) -> None:
    rows = explained("format json")
    assert [outline(plan) for plan in read_plans(wrap(rows))] == [outline(read_plans(json.dumps(rows[0]))[0])]


def as_hasura(rows: list[Any]) -> str:
    return json.dumps([{"field": "users", "sql": STATEMENT, "plan": rows}])


def as_pgadmin_lines(rows: list[Any]) -> str:
    return quoted(["QUERY PLAN", *rows])


def as_driver_lines(rows: list[Any]) -> str:
    return json.dumps([{"QUERY PLAN": row} for row in rows])


def as_windows_text(rows: list[Any]) -> str:
    return "\ufeff" + "\r\n".join(rows) + "\r\n"


@pytest.mark.parametrize("wrap", [as_hasura, as_pgadmin_lines, as_driver_lines, as_windows_text])
def test_text_is_found_wherever_a_program_put_it(explained: Cells, wrap: Callable[[list[Any]], str]) -> None:
    rows = explained("verbose")
    found = read_plans(wrap(rows))
    assert [outline(plan) for plan in found] == [outline(read_plans("\n".join(rows))[0])]


def test_hasura_tells_the_statement_too(explained: Cells) -> None:
    assert read_plans(as_hasura(explained("verbose")))[0].query == STATEMENT


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "dress",
    [
        "\\pset border 0", "\\pset border 1", "\\pset border 2", "\\x", "\\pset linestyle unicode",
        "\\pset linestyle unicode\n\\pset border 2", "\\a", "\\pset footer off", "\\t", "\\x\n\\pset linestyle unicode",
    ],
)  # fmt: skip
def test_psql_prints_it_in_whatever_dress(postgres_server: Any, workload: str, form: str, dress: str) -> None:
    psql = postgres_server.bin_dir and Path(postgres_server.bin_dir) / "psql"
    if not psql or not psql.exists():
        pytest.skip("this server comes without psql")
    script = f"{dress}\nexplain (verbose, format {form}) {STATEMENT};\n"
    printed = subprocess.run(
        [psql, "-X", "-q", workload], input=script, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    with psycopg.connect(workload, autocommit=True) as session:
        row = session.execute(f"explain (verbose, format json) {STATEMENT}".encode()).fetchone()
    assert row is not None
    assert [outline(plan) for plan in read_plans(printed)] == [outline(read_plans(json.dumps(row[0]))[0])]


@pytest.fixture
def logged(workload: str) -> Callable[[str], str]:
    """What auto_explain says about the statement: the message as the server logs it."""

    def explain(form: str) -> str:
        heard: list[str] = []
        with psycopg.connect(workload, autocommit=True) as session:
            session.add_notice_handler(lambda said: heard.append(str(said.message_primary)))
            session.execute("load 'auto_explain'")
            session.execute(
                "select set_config('auto_explain.log_format', %s, false), set_config('auto_explain.log_analyze', 'on',"
                " false), set_config('client_min_messages', 'log', false)",
                (form,),
            )
            session.execute("set auto_explain.log_min_duration = 0")
            session.execute(STATEMENT.encode())
        return next(message for message in heard if "with few" in message)

    return explain


def as_stderr(message: str) -> str:
    said = message.replace("\n", "\n\t")
    return (
        f"2026-01-31 12:30:05.123 UTC [77] LOG:  {said}\n"
        "2026-01-31 12:30:06.000 UTC [78] LOG:  checkpoint starting: time\n"
        "2026-01-31 12:30:06.100 UTC [77] LOG:  duration: 0.010 ms  plan:\n"
        "\tQuery Text: select 1\n\tResult  (cost=0.00..0.01 rows=1 width=4) (actual time=0.001..0.001 rows=1 loops=1)\n"
    )


def as_jsonlog(message: str) -> str:
    others = {"timestamp": "2026-01-31 12:30:05.123 UTC", "pid": 77, "error_severity": "LOG"}
    return "\n".join(json.dumps(others | {"message": said}) for said in ("connection received", message)) + "\n"


def as_csvlog(message: str) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(["2026-01-31 12:30:05.123 UTC", "postgres", "app", 77, "", "LOG", "00000", message])
    return text.getvalue().replace("LOG,00000,", '"LOG","00000",')


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("wrap", [as_stderr, as_jsonlog, as_csvlog, str])
def test_auto_explain_is_read_from_every_log(
    logged: Callable[[str], str], form: str, wrap: Callable[[str], str]
) -> None:
    plan = max(read_plans(wrap(logged(form))), key=lambda one: one.total_s or 0)
    assert plan.query is not None
    assert plan.query.startswith("with few as materialized")
    assert plan.root.kind == "Limit"
    assert plan.root.rows == 3
    assert {node.relation for node in plan.nodes} >= {"big", "s1", "s2"}


@pytest.mark.parametrize(
    "text",
    [
        "Seq Scan on t  (cost=0.00..1", "Limit  (cost=0.00..1.00 rows=many width=4)",
        "Limit  (cost=0.0.0..1.00 rows=1 width=4)",
        '{"Plan": {"Node Type": "L", "Plan Rows": 1' + "0" * 400 + "}}",
        "Limit  (cost=0.00..1.00 rows=" + "1" * 5000 + " width=4)",
        "", "  \n", "nonsense", "{", "[]", "[[]]", "{}", '{"Plan": {}}', '{"Plan": []}', '{"Plan": {"Node Type": 7}}',
        '[{"Plan": {"Node Type": "Limit", "Plans": 3}}]', '[{"Plan": {"Node Type": "Limit", "Plans": [null]}}]',
        '[{"Plan": {"Node Type": "Limit", "Actual Rows": "many"}}]', '[{"Plan": {"Node Type": "L", "Plan Rows": NaN}}]',
        '[{"Plan": {"Node Type": "Limit", "Total Cost": -1e999}}]', "<explain></explain>", "- Plan:\n    Node Type: x",
        "QUERY PLAN\n----\n(0 rows)", "[" * 100_000, '{"a":' * 100_000, "\x00\x01\x02", "select 1",
        ' [ +\n {  +\n "Plan": { +\n',
    ],
)  # fmt: skip
def test_what_is_no_plan_is_one_clear_error(text: str) -> None:
    with pytest.raises(Misused) as caught:
        read_plans(text)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_lines_that_look_like_the_tree_stay_text() -> None:
    strange = "Plans: 1\n{0}Workers: 2\n{0}Node Type: x\n{0}Plan: y\n{0}Triggers: 3"
    text = (
        "Limit  (cost=0.00..1.00 rows=1 width=4)\n  " + strange.format("  ") + "\n  Worker 0:  Plans: 1\n"
        "  ->  Result  (cost=0.00..1.00 rows=1 width=4)\n" + strange.format("")
        + "\nTrigger t: calls=1\nExecution Time: 1.000 ms\n"
    )  # fmt: skip
    plan = read_plans(text)[0]
    assert [node.title for node in plan.nodes] == ["Limit", "Result"]
    assert plan.execution_s == pytest.approx(0.001)


def test_a_plan_of_many_levels_is_refused_and_one_of_many_nodes_is_read() -> None:
    deep: dict[str, Any] = {"Node Type": "Result"}
    for _ in range(300):
        deep = {"Node Type": "Append", "Plans": [deep]}
    with pytest.raises(Misused):
        read_plans(json.dumps({"Plan": deep}))
    wide = {"Node Type": "Append", "Plans": [{"Node Type": "Seq Scan", "Relation Name": f"p{i}"} for i in range(5000)]}
    assert len(read_plans(json.dumps({"Plan": wide}))[0].nodes) == 5001


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_never_a_crash(
    explained_once: dict[str, str], data: st.DataObject
) -> None:
    text = explained_once[data.draw(st.sampled_from(sorted(explained_once)))]
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 400))
    instead = data.draw(
        st.sampled_from(["", "\x00", "->", "(", '"', "\n", "999999999999", "-1", "null", "Filter: ", "{"])
    )
    damaged = text[:start] + instead + text[start + length :]
    with contextlib.suppress(Misused):
        for plan in read_plans(damaged):
            look_into(plan)


@pytest.fixture(scope="module")
def explained_once(workload: str) -> dict[str, str]:
    with psycopg.connect(workload, autocommit=True) as session:
        lines = session.execute(f"explain (analyze, buffers, verbose) {STATEMENT}".encode()).fetchall()
        whole = session.execute(f"explain (analyze, buffers, verbose, format json) {STATEMENT}".encode()).fetchall()
    return {"text": "\n".join(str(row[0]) for row in lines), "json": json.dumps(whole[0][0], indent=2)}
