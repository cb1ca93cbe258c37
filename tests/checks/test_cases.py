"""Every check against a real server: the cases in `cases/NAME.yml`, of which some make it fire and some leave it quiet.

A case file is named after its check (`unused_index.yml`), with two lists, `fires` and `quiet`, of cases:

    name:     what is particular, as the end of a sentence
    setup:    SQL, sent as one script
    then:     SQL, sent statement by statement in autocommit, by a session of its own (CONCURRENTLY, VACUUM, traffic)
    sessions: a list of SQL, each sent by a session that stays open meanwhile (an open transaction, one that waits)
    until:    a query; the check looks only once its first value is true (counters arrive late on PostgreSQL 13 and 14)
    role:     a role's attributes and memberships (`nologin in role pg_monitor`): the check looks with its rights only
    settings: parameters of the whole server as pg_settings prints them (`{autovacuum: "off"}`), reset afterwards
    cleanup:  SQL, sent afterwards, for what does not go with the database (slots)
    later:    seconds by which everything that the check reads is taken to be older than it is (ages, waits)
    server:   facts that a fresh server cannot have, such as `{statistics_age_s: 864000}` (see checks.check.Audited)
    pg:       a condition as in `">= 15"`
    expect:   what is found: a list of `{object, severity, message, sql, step, safe, evidence: {…}}`, each key optional
              (`message` is a part of it; `evidence` and `step` may name some of the keys)
    unexamined: a part of the reason that the check must give for not looking

`{role}` and `{database}` stand for names that are made up for the case.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlparse
import yaml
from patience import until_so
from psycopg import conninfo

from dbtune.app import audit
from dbtune.checks.check import Check, checks
from dbtune.core.findings import Finding, Unexamined
from dbtune.core.progress import silent
from dbtune.servers.postgres.session import connect

CASES = Path(__file__).parent / "cases"
SETTLED = """
select count(*) from pg_stat_activity
where pid = any(array{pids}) and (state like 'idle%' or wait_event_type = 'Lock' or wait_event = 'PgSleep')
"""
KEYS = {
    *("name", "setup", "then", "sessions", "until", "role", "settings", "cleanup", "later", "server", "pg"),
    *("expect", "unexamined"),
}
SOURCES = ("postgres", "totals")
ELSEWHERE = {
    "archiver-failing": "test_runtime.py",
    "jit-small-queries": "test_jit.py",
    "replica-lag": "test_runtime.py",
    "short-sessions": "test_runtime.py",
    "standby-behind": "test_runtime.py",
    "statements-evicted": "test_runtime.py",
    "statements-hidden": "test_runtime.py",
}
"""Those that want a server or clients of their own."""
EXPECTED = {"object", "severity", "message", "sql", "step", "safe", "evidence", "confidence"}


def _check_of(path: Path) -> Check | None:
    return next((check for check in checks().values() if check.name.replace("-", "_") == path.stem), None)


def _cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.yml")):
        check = _check_of(path)
        if check is not None and check.source not in SOURCES:
            continue
        for outcome, cases in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            for case in cases:
                marks = [pytest.mark.pg(case["pg"])] if "pg" in case else []
                yield pytest.param(path, outcome, case, marks=marks, id=f"{path.stem}-{outcome}-{case['name']}")


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yml")), ids=lambda path: path.stem)
def test_a_case_file_belongs_to_a_check_and_has_cases_of_both_kinds(path: Path) -> None:
    assert _check_of(path), f"no check is called {path.stem}"
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(cases) == {"fires", "quiet"}
    assert all(cases.values())


@pytest.mark.parametrize("check", [one for one in checks().values() if one.source in SOURCES], ids=lambda one: one.name)
def test_every_check_has_a_case_file(check: Check) -> None:
    if check.name in ELSEWHERE:
        assert f'"{check.name}"' in (CASES.parent / ELSEWHERE[check.name]).read_text(encoding="utf-8")
    else:
        assert (CASES / f"{check.name.replace('-', '_')}.yml").exists()


@pytest.mark.parametrize(("path", "outcome", "case"), list(_cases()))
def test_a_case(path: Path, outcome: str, case: Mapping[str, Any], database: str) -> None:
    assert set(case) <= KEYS, set(case) - KEYS
    check = _check_of(path)
    assert check is not None
    with _prepared(database, case) as names:
        verdicts = _judged(database, check, case, names["{role}"])
    found = sorted((one for one in verdicts if isinstance(one, Finding)), key=lambda one: one.object)
    skipped = [one for one in verdicts if isinstance(one, Unexamined)]
    if "unexamined" in case:
        assert not found
        assert any(case["unexamined"] in one.reason for one in skipped), skipped
        assert all(one.hint for one in skipped)
    else:
        assert not skipped
    expected = _named(case.get("expect", []), names)
    assert bool(expected) == (outcome == "fires"), "the case is in the wrong list"
    assert len(found) == len(expected), found
    for one, wanted in zip(found, expected, strict=True):
        _assert_as_expected(one, wanted)


def _assert_as_expected(found: Finding, wanted: Mapping[str, Any]) -> None:
    assert set(wanted) <= EXPECTED, set(wanted) - EXPECTED
    for key in ("object", "severity", "confidence"):
        assert getattr(found, key) == wanted.get(key, getattr(found, key)), found
    assert wanted.get("message", "") in found.message
    assert _part(found.evidence, wanted.get("evidence", {})) == wanted.get("evidence", {}), found
    fix = found.fix
    if "sql" in wanted:
        assert list(fix.sql if fix else ()) == wanted["sql"]
    if "safe" in wanted:
        assert (fix is not None and fix.safe) == wanted["safe"]
    if "step" in wanted:
        assert (fix.step if fix else None) == wanted["step"]


def _part(whole: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: whole.get(key) for key in wanted}


def _named(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for placeholder, name in names.items():
            value = value.replace(placeholder, name)
        return value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return {key: _named(item, names) for key, item in value.items()} if isinstance(value, dict) else value


@contextlib.contextmanager
def _prepared(database: str, case: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The database as the case wants it, while its sessions are open; yields what the placeholders stand for."""
    role = f"dbtune_test_{secrets.token_hex(6)}"
    names = {"{role}": role, "{database}": str(conninfo.conninfo_to_dict(database)["dbname"])}
    with contextlib.ExitStack() as stack:
        if "role" in case:
            with psycopg.connect(database, autocommit=True) as owner:
                owner.execute(f'create role "{role}" {case["role"]}'.encode())
            stack.callback(_drop_role, database, role)
        if "settings" in case:
            stack.enter_context(_settings(database, case["settings"]))
        if "cleanup" in case:
            stack.callback(_run, database, _named(case["cleanup"], names))
        if "setup" in case:
            with psycopg.connect(database, autocommit=True) as owner:
                owner.execute(_named(case["setup"], names).encode())
                pid = owner.info.backend_pid
            # A session hands in its counters as it ends; an ANALYZE before that would have its rows counted twice.
            _wait_until(database, f"select not exists (select from pg_stat_activity where pid = {pid})")
        if "then" in case:
            with psycopg.connect(database, autocommit=True) as owner:
                for statement in sqlparse.split(_named(case["then"], names)):
                    owner.execute(statement.encode())
        _open_sessions(database, [_named(text, names) for text in case.get("sessions", [])], stack)
        if "until" in case:
            _wait_until(database, case["until"])
        yield names


def _run(database: str, script: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(script.encode())


@contextlib.contextmanager
def _settings(database: str, wanted: Mapping[str, str]) -> Iterator[None]:
    """In force, or waiting for a restart; afterwards as it was before."""
    with psycopg.connect(database, autocommit=True) as owner:
        before = {name: owner.execute(f"show {name}".encode()).fetchone() for name in wanted}
        try:
            for name, value in wanted.items():
                owner.execute(f"alter system set {name} = '{value}'".encode())
            owner.execute("select pg_reload_conf()")
            for name, value in wanted.items():
                _wait_until(
                    database,
                    f"select pending_restart or setting = '{value}' from pg_settings where name = '{name}'",
                )
            yield
        finally:
            for name in wanted:
                owner.execute(f"alter system reset {name}".encode())
            owner.execute("select pg_reload_conf()")
            for name, row in before.items():
                back = f"current_setting('{name}') = '{row[0] if row else ''}'"
                _wait_until(database, f"select not pending_restart and {back} from pg_settings where name = '{name}'")


def _drop_role(database: str, role: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(f'drop owned by "{role}"'.encode())
        owner.execute(f'drop role "{role}"'.encode())


def _open_sessions(database: str, scripts: Sequence[str], stack: contextlib.ExitStack) -> None:
    """In order: each is idle, asleep or waits for a lock before the next one starts."""
    sessions = []
    for script in scripts:
        session = stack.enter_context(contextlib.closing(psycopg.connect(database, autocommit=True)))
        session.pgconn.send_query(script.encode())
        session.pgconn.flush()
        sessions.append(session.info.backend_pid)
        _wait_until(database, f"select ({SETTLED.format(pids=sessions)}) = {len(sessions)}")


def _wait_until(database: str, query: str) -> None:
    with psycopg.connect(database, autocommit=True) as looking:
        until_so(looking, query)


def _judged(database: str, check: Check, case: Mapping[str, Any], role: str) -> list[Finding | Unexamined]:
    with contextlib.closing(connect(database)) as session:
        if "role" in case:
            session.execute(f'set session authorization "{role}"'.encode())
        server = dataclasses.replace(audit._look_at(session), **case.get("server", {}))
        rows = audit._fetch_all(session, (check,), silent)
    if "later" in case:
        rows = {key: _aged(answer, case["later"]) for key, answer in rows.items()}
    findings, skipped = audit._judge_all((check,), rows, server)
    return [*findings, *skipped]


def _aged(answer: Any, by_s: float) -> Any:
    """The same rows with all that is an age or a wait (`…_s`) so much longer; what is unknown stays so."""
    if isinstance(answer, Exception):
        return answer
    return [
        dataclasses.replace(
            row,
            **{
                field.name: value + by_s
                for field in dataclasses.fields(row)
                if field.name.endswith("_s") and (value := getattr(row, field.name)) is not None
            },
        )
        for row in answer
    ]
