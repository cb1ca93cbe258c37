"""audit and rule as a person types them."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import forks
import psycopg
import pytest
import redis
import yaml
from psycopg import conninfo, sql
from topologies import SLOTS, Cluster

from dbtune.app.rulebook import look_up
from dbtune.cache.slots import slot
from dbtune.checks.check import checks
from dbtune.render.audits import RENDERERS

FLAWS = """
create table users (id int primary key, email text);
create index users_email_one on users (email);
create index "users | <script>{{ x }}" on users (email);
create table "Or ders{{ vars.x }}" (id int primary key, "user {% if %}" int references users);
insert into users select n, 'mail' || n from generate_series(1, 20000) n;
insert into "Or ders{{ vars.x }}" select n, n from generate_series(1, 20000) n;
analyze
"""


def dbtune(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return forks.run(arguments)


def audited(*arguments: str | Path) -> dict[str, Any]:
    done = dbtune("audit", "--format", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def flawed(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in FLAWS.split(";"):
            connection.execute(statement.encode())
    return database


@pytest.fixture
def role(postgres_dsn: str) -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"dbtune_test_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
    yield name
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_the_document_keeps_the_contract(flawed: str) -> None:
    document = audited("--postgres", flawed)
    assert document["schema"] == "dbtune.audit/1"
    assert {"dbtune", "target", "started_at", "duration_s", "findings", "skipped", "summary"} <= document.keys()
    keys = {"code", "name", "severity", "object", "message", "evidence", "fix", "confidence"}
    assert all(keys == finding.keys() for finding in document["findings"])
    assert all({"check", "reason", "hint"} == one.keys() for one in document["skipped"])
    named = {finding["name"]: finding for finding in document["findings"]}
    assert {"duplicate-index", "missing-foreign-key-index"} <= named.keys()
    assert "sql" in named["duplicate-index"]["fix"]
    assert "step" in named["missing-foreign-key-index"]["fix"]
    told = {*document["examined"], *(one["check"] for one in document["skipped"])}
    assert told == set(checks()), "every check looked, or said why not"


def test_a_role_with_pg_monitor_only_gets_a_useful_report(flawed: str, role: str) -> None:
    with psycopg.connect(flawed, autocommit=True) as connection:
        connection.execute(sql.SQL("grant pg_monitor to {}").format(sql.Identifier(role)))
    document = audited("--postgres", conninfo.make_conninfo(flawed, user=role))
    assert {"duplicate-index", "missing-foreign-key-index"} <= {found["name"] for found in document["findings"]}
    assert all(one["reason"] and one["hint"] for one in document["skipped"])


def test_a_role_with_nothing_at_all_gets_a_useful_report(flawed: str, role: str) -> None:
    with psycopg.connect(flawed, autocommit=True) as connection:
        connection.execute("revoke all on schema public from public")
    document = audited("--postgres", conninfo.make_conninfo(flawed, user=role))
    assert "missing-foreign-key-index" in {found["name"] for found in document["findings"]}
    assert document["summary"]["examined"] > len(document["skipped"])
    assert all(one["reason"] for one in document["skipped"])


def test_a_cache_user_with_nothing_at_all_is_told_what_it_lacks(cache_url: str) -> None:
    with redis.Redis.from_url(cache_url) as client:
        client.execute_command("ACL", "SETUSER", "nobody", "reset", "on", "nopass", "+ping")
    joint = "&" if "?" in cache_url else "?"
    document = audited("--redis", f"{cache_url}{joint}username=nobody&password=x")
    assert document["findings"] == []
    reasons = {one["check"]: one["reason"] for one in document["skipped"]}
    assert "permission" in reasons["RD001"]
    assert reasons["PG001"] == "no PostgreSQL is named"


def test_the_playbook_of_safe_fixes_is_valid_planned_and_applied(flawed: str, tmp_path: Path) -> None:
    fixes = tmp_path / "fixes.yml"
    only = ("--only", "missing-foreign-key-index,duplicate-index")
    document = audited("--postgres", flawed, *only, "--fix-playbook", fixes)
    assert document["summary"]["warning"] >= 2
    text = fixes.read_text(encoding="utf-8")
    assert "# PG007 missing-foreign-key-index" in text
    assert dbtune("validate", fixes).returncode == 0
    assert "create index concurrently" in dbtune("plan", fixes, "--postgres", flawed).stdout
    applied = dbtune("apply", fixes, "--postgres", flawed, "--yes")
    assert (applied.returncode, applied.stderr) == (0, ""), applied.stdout
    left = audited("--postgres", flawed, *only)["findings"]
    assert {found["name"] for found in left} == {"duplicate-index"}, "dropping wants a person's judgement"
    assert all(not found["fix"]["safe"] for found in left)


def test_without_a_safe_fix_there_is_no_playbook(database: str, tmp_path: Path) -> None:
    audited("--postgres", database, "--only", "duplicate-index", "--fix-playbook", tmp_path / "none.yml")
    assert list(tmp_path.iterdir()) == []


def test_the_exit_code_answers_fail_on(flawed: str) -> None:
    only = ("--postgres", flawed, "--only", "duplicate-index")
    assert dbtune("audit", *only).returncode == 0
    assert dbtune("audit", *only, "--fail-on", "warning").returncode == 1
    assert dbtune("audit", *only, "--fail-on", "info").returncode == 1
    assert dbtune("audit", *only, "--fail-on", "critical").returncode == 0


def test_accepted_findings_stay_away_until_they_expire(flawed: str, tmp_path: Path) -> None:
    file, only = tmp_path / "accepted.yml", ("--postgres", flawed, "--only", "PG002")
    found = audited(*only, "--write-accepted", file)["findings"]
    assert found
    again = audited(*only, "--accept", file)
    assert (again["findings"], again["summary"]["accepted"]) == ([], len(found))
    assert dbtune("audit", *only, "--accept", file, "--fail-on", "info").returncode == 0
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    for entry in entries["accepted"]:
        entry["expires"] = date.today() - timedelta(days=2)  # noqa: DTZ011 - days are enough
        entry["reason"] = "we meant to look"
    file.write_text(yaml.safe_dump(entries), encoding="utf-8")
    back = audited(*only, "--accept", file)["findings"]
    assert len(back) == len(found)
    assert all("was accepted until" in one["message"] and "we meant to look" in one["message"] for one in back)


def test_a_wrong_file_of_accepted_findings_is_told_with_its_line(database: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.yml"
    file.write_text("version: 1\naccepted:\n  - code: PG001\n    object: a\n    expires: soon\n", encoding="utf-8")
    done = dbtune("audit", "--postgres", database, "--accept", file)
    assert done.returncode == 2
    assert f"{file}:5:" in done.stderr
    assert "reason" in done.stderr


def test_every_form_is_written_whole(flawed: str, tmp_path: Path) -> None:
    for form in RENDERERS:
        place = tmp_path / f"audit.{form}"
        done = dbtune("audit", "--postgres", flawed, "--format", form, "--output", place)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert "missing-foreign-key-index" in place.read_text(encoding="utf-8")


def test_the_terminal_form_of_a_real_audit_fits_80_columns(flawed: str) -> None:
    for more in ((), ("--verbose",)):
        done = dbtune("audit", "--postgres", flawed, *more)
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "not examined" in done.stdout
        assert "\x1b" not in done.stdout


def test_redis_alone_can_be_audited(cache_url: str) -> None:
    document = audited("--redis", cache_url, "--only", "RD001,RD003,PG001")
    assert document["examined"] == ["RD001", "RD003"]
    assert document["skipped"] == [
        {"check": "PG001", "reason": "no PostgreSQL is named", "hint": "give --postgres URL, or set DATABASE_URL"}
    ]


def test_every_primary_of_a_cluster_is_looked_at_and_what_is_so_on_one_only_is_said_of_it(
    redis_cluster: Cluster,
) -> None:
    odd = redis_cluster.ports[2]
    huge = next(f"huge:{number}" for number in range(100) if slot(b"huge:%d" % number) > SLOTS * 3 // 4)
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(redis.Redis(port=port)) for port in redis_cluster.ports]
        nodes[2].set(huge, "z" * 300_000)
        for node, port in zip(nodes, redis_cluster.ports, strict=True):
            node.config_set("maxmemory", 0 if port == odd else 1 << 30)
        document = audited("--redis", redis_cluster.url, "--only", "RD001,RD008")
        for node in nodes:
            node.config_set("maxmemory", 0)
        together = audited("--redis", redis_cluster.url, "--only", "RD001")
    found = {finding["code"]: finding["object"] for finding in document["findings"]}
    assert found == {"RD001": f"127.0.0.1:{odd}/0", "RD008": huge}
    assert document["skipped"] == []
    (unbounded,) = together["findings"]
    assert unbounded["object"] == together["target"]
    one_node = audited("--redis", f"unix://{redis_cluster.nodes[0].directory}/valkey.sock", "--only", "RD001")
    assert unbounded["fix"] == one_node["findings"][0]["fix"], "it is set on each node"


def test_a_cluster_behind_a_socket_is_looked_at_as_far_as_that_leads(redis_cluster: Cluster) -> None:
    document = audited("--redis", f"unix://{redis_cluster.nodes[0].directory}/valkey.sock", "--only", "RD001")
    assert [finding["code"] for finding in document["findings"]] == ["RD001"]
    (left_out,) = document["skipped"]
    assert left_out["check"] == "node"
    assert "whose other nodes no socket leads to" in left_out["reason"]


def test_what_the_audit_left_in_the_counters_is_told(cache_url: str) -> None:
    with redis.Redis.from_url(cache_url) as client:
        client.set("a", "1", ex=1000)
    assert audited("--redis", cache_url, "--only", "RD006")["notes"] == [
        "sampling Redis moved keyspace_hits and keyspace_misses by 3, after the window"
    ]


def test_mistakes_of_the_command_line_are_exit_2_with_a_hint(database: str, tmp_path: Path) -> None:
    for arguments, words in (
        (("audit",), "no server is named"),
        (("audit", "--postgres", database, "--only", "unused-indx"), 'did you mean "unused-index"'),
        (("audit", "--postgres", database, "--skip", "PG999"), "no check"),
        (("audit", "--postgres", database, "--window", "30"), "not a duration"),
        (("audit", "--postgres", database, "--slow", "fast"), "not a duration"),
        (("audit", "--postgres", database, "--fix-playbook", tmp_path / "no" / "x.yml"), "does not exist"),
        (("audit", "--postgres", database, "--accept", tmp_path / "none.yml"), "no such file"),
        (("rule", "PG999"), "no check"),
        (("rule", "--format", "html"), "no html form"),
    ):
        done = dbtune(*arguments)
        assert done.returncode == 2, arguments
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_an_unreachable_server_is_exit_3() -> None:
    for name, url in (
        ("--postgres", "postgresql://u:hidden@localhost:1/x"),
        ("--redis", "redis://:hidden@localhost:1"),
    ):
        done = dbtune("audit", name, url)
        assert done.returncode == 3
        assert "hidden" not in done.stderr


def test_everything_that_can_be_found_explains_itself() -> None:
    for entry in look_up().entries:
        assert "**Why it matters.**" in entry.text, entry.code
        assert "**What to do.**" in entry.text, entry.code


def test_a_rule_is_printed_by_code_and_by_name() -> None:
    by_code, by_name = dbtune("rule", "pg001"), dbtune("rule", "unused-index")
    assert by_code.stdout == by_name.stdout
    assert "Why it matters." in by_code.stdout
    assert "**" not in by_code.stdout
    assert max(map(len, by_code.stdout.splitlines())) <= 80


def test_rules_are_listed_and_machines_can_read_them() -> None:
    listed = dbtune("rule").stdout
    document = json.loads(dbtune("rule", "--format", "json").stdout)
    assert list(document)[:5] == ["schema", "dbtune", "target", "started_at", "duration_s"]
    assert {one["code"] for one in document["rules"]} > set(checks()) | {"PL001"}
    assert all(one["code"] in listed and one["documentation"] for one in document["rules"])


def test_both_commands_have_an_example() -> None:
    for command in ("audit", "rule"):
        assert f"dbtune {command}" in dbtune(command, "--help").stdout.partition("Example")[2]
