"""What a person may write as a load, and what is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbtune.core.errors import InvalidPlaybook
from dbtune.load.model import metric_of
from dbtune.playbook.load import load
from dbtune.steps.load import Load

HEAD = "version: 1\nname: x\nsteps:\n"


def read(tmp_path: Path, body: str) -> Load:
    path = tmp_path / "p.yml"
    path.write_text(f"{HEAD}  - load: {body}\n")
    step = load(path).steps[0].step
    assert isinstance(step, Load)
    return step


def complaint(tmp_path: Path, body: str) -> str:
    with pytest.raises(InvalidPlaybook) as caught:
        read(tmp_path, body)
    return str(caught.value)


def test_the_example_of_the_design_is_read(tmp_path: Path) -> None:
    step = read(
        tmp_path,
        '{engine: pgbench, scripts: {feed: "select 1"}, stages: [{duration: 30s, clients: 8}],'
        ' thresholds: {latency: ["p(95)<300ms"]}}',
    )
    assert step.scripts["feed"].sql == "select 1"
    assert (step.chosen_engine, step.stages[0].clients) == ("pgbench", 8)
    assert step.expectations[0].text == "p(95)<300ms"


def test_a_text_that_names_a_function_is_a_flow(tmp_path: Path) -> None:
    step = read(tmp_path, '{scripts: {a: "shop.flows:checkout"}, profile: smoke}')
    assert (step.scripts["a"].flow, step.chosen_engine) == ("shop.flows:checkout", "python")


def test_an_endpoint_is_a_method_and_an_address(tmp_path: Path) -> None:
    step = read(tmp_path, '{endpoints: {a: "POST https://x/y", b: "http://z"}, profile: ramp}')
    assert [(one.method, one.url) for one in step.endpoints.values()] == [("POST", "https://x/y"), ("GET", "http://z")]
    assert step.chosen_engine == "http"


def test_a_threshold_may_be_one_text_a_list_or_a_mapping(tmp_path: Path) -> None:
    step = read(
        tmp_path,
        "{scripts: {a: select 1}, profile: smoke, thresholds: {errors: rate<1%, latency: [p(95)<1s,"
        " {threshold: p(99)<2s, abortOnFail: true, delayAbortEval: 10s}], a: avg < baseline * 1.1}}",
    )
    assert [(one.metric, one.aborts, one.delay_s, one.relative) for one in step.expectations] == [
        ("errors", False, 0.0, False),
        ("latency", False, 0.0, False),
        ("latency", True, 10.0, False),
        ("a.latency", False, 0.0, True),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{scripts: {a: select 1}}", "needs stages"),
        ("{scripts: {a: select 1}, profile: smoke, stages: [{duration: 1s, clients: 1}]}", "stages or a profile"),
        ("{scripts: {a: select 1}, stages: [{duration: 1s, clients: 0, rate: 5}]}", "a rate needs clients"),
        ("{scripts: {a: 'm:f'}, profile: smoke, sample: 10%}", "only pgbench"),
        ("{profile: smoke}", "one of scripts, endpoints and script"),
        ("{scripts: {a: select 1}, endpoints: {b: http://x}, profile: smoke}", "one of scripts, endpoints and script"),
        ("{engine: k6, scripts: {a: select 1}, profile: smoke}", "engine k6 does not run these"),
        ("{scripts: {a: select 1, b: 'm:f'}, profile: smoke}", "different engines"),
        ("{scripts: {a: {sql: select 1, file: x.sql}}, profile: smoke}", "one of sql, file, builtin and flow"),
        ("{scripts: {a: ' '}, profile: smoke}", "no statement"),
        ("{scripts: {a: {flow: 'not a flow'}}, profile: smoke}", "module:function"),
        ("{scripts: {a: {sql: select 1, weight: 0}}, profile: smoke}", "weight"),
        ("{endpoints: {a: 'FETCH http://x'}, profile: smoke}", "none of GET"),
        ("{endpoints: {a: 'file:///etc/passwd'}, profile: smoke}", "https?"),
        ('{endpoints: {a: {url: http://x, headers: {X: "a\\r\\nb"}}}, profile: smoke}', "one line"),
        ("{scripts: {a: select 1}, variables: {'a b': 1}, profile: smoke}", "no name of a variable"),
        ("{scripts: {a: select 1}, profile: smoke, thresholds: {latncy: p(95)<1}}", "nothing measures latncy"),
        ("{scripts: {a: select 1}, profile: smoke, thresholds: {b.latency: p(95)<1}}", "no script is called b"),
        ("{scripts: {a: select 1}, profile: smoke, thresholds: {latency: p(95)<<1}}", "column 7"),
        ("{scripts: {a: select 1}, profile: smoke, thresholds: {latency: ''}}", "threshold"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, body: str, words: str) -> None:
    said = complaint(tmp_path, body)
    assert words in said
    assert "p.yml:4:" in said


@pytest.mark.parametrize(
    ("key", "metric"),
    [
        ("latency", "latency"),
        ("feed", "feed.latency"),
        ("feed.errors", "feed.errors"),
        ('"my feed".latency', "my feed.latency"),
        ("http_req_duration{name:feed}", "feed.latency"),
        ("http_req_failed", "errors"),
        ("dropped_iterations", "dropped"),
    ],
)
def test_a_key_of_thresholds_means_a_metric(key: str, metric: str) -> None:
    assert metric_of(key, ("feed", "my feed")) == metric
