"""`dbtune load` on HTTP endpoints and on Python flows: k6, httpx and threads for real."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

K6 = Path(sys.executable).with_name("k6")
ENGINES = ("k6", "httpx")


class Shop(BaseHTTPRequestHandler):
    """`/` is fine, `/half` fails every second time, `/echo` wants a POST with the right words."""

    protocol_version = "HTTP/1.1"
    seen = 0

    def do_GET(self) -> None:
        type(self).seen += 1
        self._answer(500 if self.path == "/half" and self.seen % 2 else 200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201 if (body, self.headers["X-Word"]) == (b"hello", "yes") else 400)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def step(self) -> Any:
        return json.loads(self.out)["steps"][0]


def load(home: Path, body: str, *more: str, **environment: str) -> Answer:
    (home / "p.yml").write_text(f"version: 1\nname: p\nsteps:\n  - id: l\n    load: {body}\n")
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    done = subprocess.run(
        [sys.executable, "-m", "dbtune", "load", "p.yml", "--format", "json", *more],
        cwd=home, env=variables, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert "unexpectedly" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("engine", ENGINES)
def test_endpoints_are_requested_and_judged_each_by_itself(engine: str, address: str, tmp_path: Path) -> None:
    answer = load(
        tmp_path,
        f'{{engine: {engine}, endpoints: {{"/": {{url: {address}/, weight: 3}}, half: "GET {address}/half",'
        f" post: {{method: post, url: {address}/echo, body: hello, headers: {{X-Word: 'yes'}}, status: 201}}}},"
        " stages: [{duration: 2s, clients: 2}], thresholds: {latency: p(95)<30s, post.errors: rate==0,"
        ' "http_req_failed{name:half}": rate<1%}}',
    )
    step = answer.step
    scripts = {script["name"]: script for script in step["scripts"]}
    assert scripts["/"]["requests"] > scripts["post"]["requests"] > 5
    assert scripts["/"]["failed"] == scripts["post"]["failed"] == 0
    assert 0 < scripts["half"]["failed"] < scripts["half"]["requests"]
    assert [error["message"] for error in step["errors"]] == ["status 500"]
    assert step["requests"] == sum(script["requests"] for script in step["scripts"])
    assert (answer.code, [found["ok"] for found in step["thresholds"]]) == (1, [True, True, False])
    assert step["engine"] == engine


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_what_could_not_be_sent_in_time_is_dropped(engine: str, address: str, tmp_path: Path) -> None:
    answer = load(
        tmp_path,
        f"{{engine: {engine}, endpoints: {{a: {address}/}}, stages: [{{duration: 2s, clients: 1, rate: 50000/s}}],"
        " thresholds: {dropped: rate<1%}}",
    )
    step = answer.step
    assert (answer.code, step["mode"]) == (1, "open")
    assert step["dropped"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_is_not_there_is_a_failed_load(engine: str, tmp_path: Path) -> None:
    answer = load(
        tmp_path,
        f"{{engine: {engine}, endpoints: {{a: 'http://127.0.0.1:1/'}}, stages: [{{duration: 1s, clients: 1}}],"
        " thresholds: {latency: p(95)<1s, errors: rate<1%}}",
    )
    step = answer.step
    assert answer.code == 1
    assert step["failed"] == step["requests"] > 0
    assert step["latency"]["p95_s"] is None
    assert "refused" in step["errors"][0]["message"].lower()


def test_without_k6_httpx_requests_them(address: str, tmp_path: Path) -> None:
    body = f"{{engine: httpx, endpoints: {{a: {address}/}}, stages: [{{duration: 1s, clients: 1}}]}}"
    assert load(tmp_path, body).step["requests"] > 5
    named = load(tmp_path, body.replace("httpx", "k6"), DBTUNE_K6=str(tmp_path / "none"))
    assert (named.code, "DBTUNE_K6" in named.err) == (3, True)


K6_SCRIPT = """
import http from 'k6/http';
export const options = {vus: 2, duration: '2s', thresholds: {http_req_duration: ['%s']}};
export default function () { http.get('%s/', {tags: {name: 'home'}}); }
"""


@pytest.mark.slow
@pytest.mark.parametrize(("own", "code"), [("p(95)<60000", 0), ("p(95)<0", 1)])
def test_a_k6_script_of_ones_own_is_run_and_judged(address: str, tmp_path: Path, own: str, code: int) -> None:
    (tmp_path / "mine.js").write_text(K6_SCRIPT % (own, address))
    answer = load(tmp_path, "{script: mine.js, thresholds: {latency: p(95)<60s, home.errors: rate<1%}}")
    step = answer.step
    assert answer.code == code
    assert [script["name"] for script in step["scripts"]] == ["home"]
    assert step["requests"] > 5
    assert all(found["ok"] for found in step["thresholds"])
    assert bool(step["broken"]) == bool(code)


@pytest.mark.slow
def test_workers_share_the_clients_of_a_script(address: str, tmp_path: Path) -> None:
    (tmp_path / "mine.js").write_text(K6_SCRIPT % ("p(95)<60000", address))
    for worker in (1, 2):
        step = load(tmp_path, "{script: mine.js}", "--worker", f"{worker}/2").step
        assert (step["requests"] > 5, step["broken"]) == (True, [])


@pytest.mark.parametrize(
    ("script", "words"), [("export default 5 5", "cannot read"), ("export default function () {", "cannot read")]
)
def test_a_broken_k6_script_is_exit_2(tmp_path: Path, script: str, words: str) -> None:
    (tmp_path / "mine.js").write_text(script)
    answer = load(tmp_path, "{script: mine.js}")
    assert answer.code == 2
    assert words in answer.err
    assert load(tmp_path, "{script: none.js}").code == 2


FLOWS = """
import threading, time

def quick(postgres, redis):
    return lambda: None

def nap(postgres, redis):
    return lambda: time.sleep(0.002)

def half(postgres, redis):
    count = [0]
    def flow():
        count[0] += 1
        if count[0] % 2:
            raise ValueError("no such thing: password=hunter2")
    return flow

def stall(postgres, redis):
    began = time.monotonic()
    def flow():
        if 1 < time.monotonic() - began < 2:
            time.sleep(1)
    return flow

def unable(postgres, redis):
    raise OSError(f"nobody is at {postgres}")

def nothing(postgres, redis):
    return 5
"""


def flows(home: Path, body: str) -> Answer:
    with contextlib.suppress(FileExistsError), (home / "shop.py").open("x") as file:
        file.write(FLOWS)
    return load(home, body)


def test_flows_are_called_by_every_client(tmp_path: Path) -> None:
    step = flows(
        tmp_path,
        "{scripts: {nap: 'shop:nap', half: {flow: 'shop:half'}}, stages: [{duration: 1s, target: 4},"
        " {duration: 1s, clients: 2}]}",
    ).step
    scripts = {script["name"]: script for script in step["scripts"]}
    assert scripts["nap"]["failed"] == 0
    assert 0 < scripts["half"]["failed"] < scripts["half"]["requests"]
    assert step["errors"][0]["message"] == "ValueError: no such thing: password=***"
    assert scripts["nap"]["latency"]["min_s"] >= 0.002


def test_an_absolute_schedule_shows_a_stall_as_waiting(tmp_path: Path) -> None:
    step = flows(tmp_path, "{scripts: {a: 'shop:stall'}, stages: [{duration: 4s, clients: 1, rate: 100}]}").step
    # A second of a hundred requests came due meanwhile; only one of them took long itself.
    assert step["latency"]["p90_s"] > 0.3
    assert step["service"]["p90_s"] < step["latency"]["p90_s"] / 2
    assert step["service"]["max_s"] > 0.9


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("shop:unable", 3, "cannot begin: OSError: nobody is at"),
        ("shop:nothing", 2, "returned int"),
        ("shop:missing", 2, "cannot be loaded"),
        ("no_such_module:x", 2, "cannot be loaded"),
        ("shop:FLOWS", 2, "cannot be loaded"),
    ],
)
def test_a_flow_that_cannot_begin_says_why(tmp_path: Path, place: str, code: int, words: str) -> None:
    answer = flows(tmp_path, f"{{scripts: {{a: '{place}'}}, stages: [{{duration: 1s, clients: 1}}]}}")
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
