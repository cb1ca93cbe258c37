"""`dbtune load` ended from outside, refused, and given names that mean harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S, until
from psycopg.conninfo import make_conninfo

from dbtune.servers.load.programs import find_pgbench

OURS = "select count(*) from pg_stat_activity where application_name like 'dbtune load %'"
HUNDRED_MS = "select pg_sleep(0.01)"


def book(load: str) -> str:
    return f"version: 1\nname: peak\nsteps:\n  - id: peak\n    name: Peak\n    load: {load}\n"


def test_more_clients_than_connections_is_exit_3(dbtune: Any) -> None:
    stages = "[{duration: 1s, clients: 400}]"
    answer = dbtune.run("load", dbtune.playbook(book(f"{{scripts: {{a: select 1}}, stages: {stages}}}")))
    assert answer.code == 3
    assert "400" in answer.err


def test_a_pgbench_that_cannot_be_run_is_exit_3(dbtune: Any) -> None:
    dbtune.environment["DBTUNE_PGBENCH"] = str(dbtune.home / "no such pgbench")
    answer = dbtune.run("load", dbtune.playbook(book("{scripts: {a: select 1}, profile: smoke}")))
    assert (answer.code, answer.out) == (3, "")
    assert "DBTUNE_PGBENCH" in answer.err


def test_hostile_names_are_only_names(dbtune: Any) -> None:
    name = "a@3; $(touch x) <script>alert(1)</script> \\u001b[31m"
    path = dbtune.playbook(book(f'{{scripts: {{"{name}": select 1}}, stages: [{{duration: 1s, clients: 1}}]}}'))
    page = dbtune.run("load", path, "--format", "html")
    assert page.code == 0
    assert "<script" not in page.out
    assert dbtune.json("load", path).document["steps"][0]["scripts"][0]["requests"] > 0
    assert not (dbtune.home / "x").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_the_password_is_in_no_argument_and_in_no_output(dbtune: Any) -> None:
    dsn = dbtune.dsn.replace("postgres@", "postgres:s3cr3tword@")
    path = dbtune.playbook(book(f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 3s, clients: 1}}]}}"))
    process = dbtune.start("load", path, "--format", "json", dsn=dsn)
    seen: set[str] = set()

    def generates() -> bool:
        for found in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = found.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if "s3cr3tword" in text:
                raise AssertionError(text)
            if "--log-prefix" in text:
                seen.add(text)
        return bool(seen)

    until(generates, "a pgbench is seen")
    answer = dbtune.end(process)
    assert answer.code == 0, answer.err
    assert "s3cr3tword" not in answer.out + answer.err


def long_load(dbtune: Any, *more: str) -> Any:
    (dbtune.home / "tmp").mkdir(exist_ok=True)
    dbtune.environment["TMPDIR"] = str(dbtune.home / "tmp")
    path = dbtune.playbook(book(f"{{scripts: {{a: {HUNDRED_MS}}}, stages: [{{duration: 100s, clients: 3}}]}}"))
    process = dbtune.start("load", path, *more)
    until(lambda: dbtune.sql(OURS)[0][0] >= 3, "the load begins")
    return process


def nothing_is_left(dbtune: Any) -> None:
    until(lambda: dbtune.sql(OURS)[0][0] == 0, "no session of the load is left")
    until(lambda: not list((dbtune.home / "tmp").glob("dbtune-load-*")), "its directory is gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_load_with_what_was_measured(dbtune: Any, number: signal.Signals) -> None:
    process = long_load(dbtune, "--format", "json")
    log = dbtune.home / "tmp"
    # pgbench writes its log in blocks of 4 KB: until the first one there is nothing to show.
    until(lambda: any(path.stat().st_size for path in log.glob("dbtune-load-*/log.*")), "something is logged")
    process.send_signal(number)
    answer = dbtune.end(process)
    assert answer.code == 130
    assert answer.document["interrupted"] is True
    assert answer.document["steps"][0]["requests"] > 10
    assert "interrupted" in answer.document["steps"][0]["broken"][0]
    nothing_is_left(dbtune)


def test_a_killed_dbtune_leaves_no_load_behind(dbtune: Any) -> None:
    process = long_load(dbtune)
    process.kill()
    process.wait()
    nothing_is_left(dbtune)


def test_a_statement_under_way_is_cancelled_too(dbtune: Any) -> None:
    path = dbtune.playbook(book("{scripts: {a: select pg_sleep(500)}, stages: [{duration: 100s, clients: 2}]}"))
    process = dbtune.start("load", path)
    until(lambda: dbtune.sql(f"{OURS} and state = 'active'")[0][0] == 2, "the load begins")
    process.send_signal(signal.SIGINT)
    assert dbtune.end(process).code == 130
    until(lambda: dbtune.sql(OURS)[0][0] == 0, "no statement of the load runs any more")


@pytest.mark.slow
def test_a_full_disk_is_an_error_that_says_so(dbtune: Any) -> None:
    path = dbtune.playbook(book("{scripts: {a: select 1}, stages: [{duration: 60s, clients: 2}]}"))
    command = f"ulimit -f 128; exec '{sys.executable}' -m dbtune load '{path}'"
    done = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": os.environ["PATH"], "HOME": str(dbtune.home), "DATABASE_URL": dbtune.dsn},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "disk" in done.stderr


def test_a_server_that_goes_away_is_told_of_with_what_was_measured_until_then(dbtune: Any) -> None:
    process = long_load(dbtune, "--format", "json")
    name = dbtune.sql("select current_database()")[0][0]
    admin = make_conninfo(dbtune.dsn, dbname="postgres")
    dbtune.sql(f'alter database "{name}" allow_connections false', dsn=admin)
    try:
        dbtune.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'", dsn=admin)
        answer = dbtune.end(process)
    finally:
        dbtune.sql(f'alter database "{name}" allow_connections true', dsn=admin)
    step = answer.document["steps"][0]
    assert (answer.code, step["verdict"]) == (1, "failed")
    assert "3 of 3 clients ended" in " ".join(step["broken"]) or "did not run to its end" in " ".join(step["broken"])
    nothing_is_left(dbtune)


def test_a_role_without_the_privilege_fails_with_the_servers_own_words(dbtune: Any) -> None:
    dbtune.sql("create table hidden (n int)")
    role = f"r{os.getpid()}_{time.monotonic_ns()}"
    dbtune.sql(f"create role {role} login password '{role}'")
    try:
        path = dbtune.playbook(book("{scripts: {a: select n from hidden}, stages: [{duration: 1s, clients: 2}]}"))
        answer = dbtune.json("load", path, dsn=make_conninfo(dbtune.dsn, user=role, password=role))
    finally:
        dbtune.sql(f"drop role {role}")
    step = answer.document["steps"][0]
    assert (answer.code, step["failed"], step["requests"]) == (1, 2, 2)
    assert step["errors"] == [{"message": "ERROR: permission denied for table hidden", "count": 2}]


def test_a_log_that_was_cut_off_is_no_pass(dbtune: Any) -> None:
    pgbench, cut = find_pgbench().path, dbtune.home / "pgbench"
    cut.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec "{pgbench}" "$@"\n"{pgbench}" "$@"\n'
        "for log in log.*; do truncate -s 200 $log; done\n"
    )
    cut.chmod(0o755)
    dbtune.environment["DBTUNE_PGBENCH"] = str(cut)
    for sample in ("", "sample: 50%, "):
        stages = "stages: [{duration: 1s, clients: 2}]"
        answer = dbtune.json("load", dbtune.playbook(book(f"{{scripts: {{a: select 1}}, {sample}{stages}}}")))
        assert answer.code == 1
        assert "the log has" in answer.document["steps"][0]["broken"][0]
