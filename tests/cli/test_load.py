"""`dbtune load` as a person types it, with a real pgbench."""

from __future__ import annotations

import json
import time
from typing import Any
from xml.etree import ElementTree as ET

import psycopg
import pytest
from patience import until

from dbtune.load.pgbench_output import parse_summary
from dbtune.servers.load.programs import find_pgbench

OURS = "select count(*) from pg_stat_activity where application_name like 'dbtune load %'"
HUNDRED_MS = "select pg_sleep(0.01)"


def book(load: str) -> str:
    return f"version: 1\nname: peak\nsteps:\n  - id: peak\n    name: Peak\n    load: {load}\n"


def test_a_load_is_measured_and_judged(dbtune: Any) -> None:
    path = dbtune.playbook(
        book(
            '{scripts: {ping: "\\\\set n random(1, 9)\\nselect :n;", nap: {sql: select pg_sleep(0.002), weight: 2}},'
            " stages: [{duration: 1s, clients: 2}, {duration: 1s, clients: 2, rate: 100}],"
            " thresholds: {latency: p(95)<5s, nap.latency: avg>1ms, errors: rate<1%}}"
        )
    )
    answer = dbtune.json("load", path)
    assert (answer.code, answer.err) == (0, "")
    document = answer.document
    assert (document["schema"], document["verdict"]) == ("dbtune.load/1", "passed")
    (step,) = document["steps"]
    assert step["engine"] == "pgbench prepared"
    assert step["mode"] == "open"
    assert step["requests"] == sum(script["requests"] for script in step["scripts"])
    assert step["requests"] == step["latency"]["count"] > 50
    assert step["latency"]["p50_s"] <= step["latency"]["p95_s"] <= step["latency"]["max_s"]
    assert step["service"]["count"] == step["latency"]["count"]
    assert [script["name"] for script in step["scripts"]] == ["ping", "nap"]
    assert len(step["stages"]) == 2
    # pgbench's log is read by the second: a shorter block would have all requests of one, or none.
    assert [block["offset_s"] for block in step["blocks"]] == [0, 1]
    assert min(block["sent"] for block in step["blocks"]) > 0
    assert dict.fromkeys(("latency", "nap.latency", "errors"), "ok") == {
        found["metric"]: "ok" if found["ok"] else found["reason"] for found in step["thresholds"]
    }
    assert len(step["series"]) == 2


def test_what_came_due_and_was_never_sent_is_dropped(dbtune: Any) -> None:
    path = dbtune.playbook(
        book(
            f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 1s, clients: 1, rate: 1000}}],"
            " thresholds: {dropped_iterations: rate<1%}}"
        )
    )
    answer = dbtune.json("load", path)
    step = answer.document["steps"][0]
    assert (answer.code, step["thresholds"][0]["ok"]) == (1, False)
    assert step["requests"] <= 110
    assert step["requests"] + step["dropped"] == pytest.approx(1000, rel=0.2)
    assert step["latency"]["p95_s"] > 0.5
    assert step["service"]["p50_s"] < step["latency"]["p50_s"]


def test_a_missed_threshold_is_exit_1_in_every_form(dbtune: Any) -> None:
    path = dbtune.playbook(
        book(f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 1s, clients: 1}}], thresholds: {{a: p(95)<1ms}}}}")
    )
    forms = {}
    for form in ("terminal", "markdown", "html", "junit"):
        answer = dbtune.run("load", path, "--format", form)
        assert answer.code == 1, answer.err
        forms[form] = answer.out
    assert "FAILED" in forms["terminal"]
    assert "**missed**" in forms["markdown"]
    assert "<script" not in forms["html"]
    root = ET.fromstring(forms["junit"])  # noqa: S314 - our own
    assert [len(suite.findall("testcase/failure")) for suite in root] == [1]


def test_a_missed_threshold_is_annotated_and_summarized_for_github(dbtune: Any) -> None:
    path = dbtune.playbook(
        book(f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 1s, clients: 1}}], thresholds: {{a: p(95)<1ms}}}}")
    )
    summary = dbtune.home / "summary.md"
    dbtune.environment["GITHUB_STEP_SUMMARY"] = str(summary)
    answer = dbtune.run("load", path, "--format", "github")
    assert answer.code == 1
    assert answer.out.startswith("::error title=load")
    assert "**missed**" in summary.read_text()


def test_clients_that_end_at_an_error_are_told_of_and_fail_the_load(dbtune: Any) -> None:
    path = dbtune.playbook(
        book("{scripts: {half: 'select 1 / (:client_id % 2)'}, stages: [{duration: 1s, clients: 2}]}")
    )
    step = dbtune.json("load", path).document["steps"][0]
    assert step["verdict"] == "failed"
    assert step["errors"] == [{"message": "ERROR: division by zero", "count": 1}]
    assert "1 of 2 clients ended" in step["broken"][0]
    assert step["requests"] - step["failed"] == step["latency"]["count"] > 0


def test_where_nothing_succeeded_there_is_no_data_and_no_pass(dbtune: Any) -> None:
    path = dbtune.playbook(
        book("{scripts: {bad: select 1/0}, stages: [{duration: 1s, clients: 2}], thresholds: {latency: p(95)<1h}}")
    )
    answer = dbtune.json("load", path)
    step = answer.document["steps"][0]
    assert answer.code == 1
    assert (step["latency"]["p95_s"], step["failed"], step["errors_rate"]) == (None, 2, 1.0)
    assert "no data" in step["thresholds"][0]["reason"]


def test_serialization_failures_are_failures_and_the_load_goes_on(dbtune: Any) -> None:
    dbtune.sql("create table counter (n int); insert into counter values (0)")
    script = "begin isolation level serializable; update counter set n = n + 1; select pg_sleep(0.005); commit"
    path = dbtune.playbook(book(f"{{scripts: {{a: '{script}'}}, stages: [{{duration: 1s, clients: 4}}]}}"))
    step = dbtune.json("load", path).document["steps"][0]
    assert step["broken"] == []
    assert 0 < step["failed"] < step["requests"]
    assert [error["message"] for error in step["errors"]] == ["serialization failure"]


def test_a_script_that_pgbench_refuses_is_exit_2_by_its_name(dbtune: Any) -> None:
    answer = dbtune.run("load", dbtune.playbook(book("{scripts: {mine: '\\bogus 1'}, profile: smoke}")))
    assert answer.code == 2
    assert 'script mine:1: invalid command in command "bogus"' in answer.err
    assert "dbtune-load" not in answer.err


def test_a_playbook_without_a_load_is_exit_2(dbtune: Any) -> None:
    path = dbtune.playbook("version: 1\nname: x\nsteps:\n  - analyze: {tables: [a]}\n")
    answer = dbtune.run("load", path)
    assert answer.code == 2
    assert "no load" in answer.err


def test_apply_and_verify_leave_a_load_alone(dbtune: Any) -> None:
    path = dbtune.playbook(book("{scripts: {a: select 1/0}, profile: smoke}"))
    assert dbtune.apply(path).statuses == ["unchanged"]
    assert dbtune.json("verify", path).statuses == ["ok"]
    assert dbtune.json("plan", path).statuses == ["in_sync"]


def test_a_script_file_lies_beside_the_playbook(dbtune: Any) -> None:
    (dbtune.home / "feed.sql").write_text("select :wanted::int;")
    path = dbtune.playbook(
        book("{scripts: {a: {file: feed.sql}}, variables: {wanted: 7}, stages: [{duration: 1s, clients: 1}]}")
    )
    assert dbtune.json("load", path).document["steps"][0]["requests"] > 0
    gone = dbtune.run("load", dbtune.playbook(book("{scripts: {a: {file: none.sql}}, profile: smoke}")))
    assert gone.code == 2
    assert "none.sql" in gone.err


@pytest.mark.slow
def test_a_hopeless_load_is_ended_by_its_threshold(dbtune: Any) -> None:
    path = dbtune.playbook(
        book(
            f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 100s, clients: 4}}],"
            " thresholds: {latency: {threshold: p(95)<1ms, abortOnFail: true}}}"
        )
    )
    answer = dbtune.json("load", path)
    step = answer.document["steps"][0]
    assert answer.code == 1
    assert step["thresholds"][0]["aborted"] is True
    assert 0 < step["duration_s"] < 60


@pytest.mark.slow
def test_workers_run_their_shares_and_are_judged_together(dbtune: Any) -> None:
    path = dbtune.playbook(
        book(
            f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 2s, clients: 5}}],"
            " thresholds: {latency: p(95)<5s, requests: count>100}}"
        )
    )
    workers = [dbtune.start("load", path, "--worker", f"{n}/2", "--output", f"{n}.json") for n in (1, 2)]
    assert [dbtune.end(worker).code for worker in workers] == [0, 0]
    parts = [json.loads((dbtune.home / f"{n}.json").read_text())["steps"][0] for n in (1, 2)]
    assert [part["stages"][0]["clients"] for part in parts] == [2, 3]
    merged = dbtune.json("load", "--merge", "1.json", "2.json")
    (step,) = merged.document["steps"]
    assert (merged.code, step["workers"]) == (0, 2)
    assert step["requests"] == sum(part["requests"] for part in parts)
    assert step["stages"][0]["clients"] == 5
    assert step["series"][0]["p95_s"] is not None
    assert dbtune.run("load", "--merge", "1.json").code == 1
    assert dbtune.run("load", "--merge", "1.json", "1.json").code == 2


@pytest.mark.slow
def test_a_load_becomes_a_baseline_and_the_next_one_is_held_against_it(dbtune: Any) -> None:
    thresholds = "thresholds: {latency: ['p(95) < baseline * 100', 'p(50) < baseline * 0.001']}"
    stages = "stages: [{duration: 2s, clients: 2}]"
    path = dbtune.playbook(book(f"{{scripts: {{a: {HUNDRED_MS}}}, {stages}, {thresholds}}}"))
    refused = dbtune.run("load", path)
    assert refused.code == 2
    assert "--baseline" in refused.err
    plain = dbtune.playbook(book(f"{{scripts: {{a: {HUNDRED_MS}}}, {stages}}}"), "plain.yml")
    assert dbtune.run("load", plain, "--capture", "before").code == 0
    answer = dbtune.json("load", path, "--baseline", "before")
    found = answer.document["steps"][0]["thresholds"]
    assert (answer.code, [one["ok"] for one in found]) == (1, [True, False])
    assert found[0]["baseline"] > 0.009
    other = dbtune.playbook(
        book(f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 1s, clients: 1}}], {thresholds}}}"), "other.yml"
    )
    otherwise = dbtune.json("load", other, "--baseline", "before").document["steps"][0]["thresholds"]
    assert [one["ok"] for one in otherwise] == [False, False]
    assert "made otherwise" in otherwise[0]["reason"]


@pytest.mark.slow
def test_a_lock_of_a_second_shows_in_an_open_loop_and_not_in_a_closed_one(dbtune: Any) -> None:
    dbtune.sql("create table items (id int primary key, n int); insert into items values (1, 0)")

    def p99_s(stage: str) -> tuple[float, float]:
        path = dbtune.playbook(book(f"{{scripts: {{a: select n from items where id = 1}}, stages: [{stage}]}}"))
        process = dbtune.start("load", path, "--format", "json")
        until(lambda: dbtune.sql(OURS)[0][0] >= 4, "the load begins")
        with psycopg.connect(dbtune.dsn) as connection:
            time.sleep(2)
            connection.execute("lock table items in access exclusive mode")
            time.sleep(1)
            connection.rollback()
        step = dbtune.end(process).document["steps"][0]
        return step["latency"]["p99_s"], (step["service"] or step["latency"])["p99_s"]

    closed, _ = p99_s("{duration: 8s, clients: 4}")
    opened, service = p99_s("{duration: 8s, clients: 4, rate: 200}")
    # An eighth of all requests came due while it was locked; in the closed loop only four clients met it.
    assert opened > 0.5
    assert closed < 0.25
    assert service < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scripts", "stages", "sample"),
    [
        ("{a: select pg_sleep(0.001)}", "[{duration: 3s, clients: 2}]", ""),
        ("{a: select pg_sleep(0.0005)}", "[{duration: 1s, clients: 2}, {duration: 1s, clients: 3}]", "sample: 20%, "),
        (
            "{a: select pg_sleep(0.001), b: {sql: select 1, weight: 9}}",
            "[{duration: 1s, clients: 1}, {duration: 1s, clients: 2, rate: 300}]",
            "sample: 20%, ",
        ),
    ],
)
def test_the_report_agrees_with_pgbenchs_own_summary(dbtune: Any, scripts: str, stages: str, sample: str) -> None:
    """Of one and the same runs: no others, whose machine would be another."""
    said = dbtune.home / "summaries"
    wheel = find_pgbench().path
    between = dbtune.home / "pgbench"
    between.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec "{wheel}" "$@"\nexec "{wheel}" "$@" | tee -a "{said}"\n'
    )
    between.chmod(0o755)
    dbtune.environment["DBTUNE_PGBENCH"] = str(between)
    path = dbtune.playbook(book(f"{{scripts: {scripts}, {sample}stages: {stages}}}"))
    step = dbtune.json("load", path).document["steps"][0]
    runs = [parse_summary(text) for text in said.read_text().split("pgbench (")]
    own = [(run.transactions, run.tps, run.latency_s) for run in runs if run and run.tps and run.latency_s]
    # A stage of three seconds is run in two parts: its first second tells how fast the rest will go.
    assert len(own) == 2
    count = sum(transactions for transactions, _, _ in own)
    assert step["requests"] == count == sum(script["requests"] for script in step["scripts"])
    seconds = sum(transactions / tps for transactions, tps, _ in own)
    assert step["throughput_per_s"] == pytest.approx(count / seconds, rel=0.03)
    if len(step["scripts"]) == 1:
        mean_s = sum(transactions * latency_s for transactions, _, latency_s in own) / count
        assert step["latency"]["mean_s"] == pytest.approx(mean_s, rel=0.03)
    assert (step["sampling"] is not None) == bool(sample)
