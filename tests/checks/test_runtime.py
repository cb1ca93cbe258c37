"""What a case file cannot set up: servers and clients of their own, and roles that may see little or nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import psycopg
import pytest
from patience import until_accepted, until_so
from psycopg import conninfo

from dbtune.app.audit import Wish, audit
from dbtune.app.targets import OpenTargets
from dbtune.checks.check import Audited, checks
from dbtune.checks.sessions import Session
from dbtune.checks.standby_behind import Standby
from dbtune.checks.statements_hidden import is_cut_off
from dbtune.core.findings import AuditReport
from dbtune.core.progress import silent
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import connect
from dbtune.steps.step import kinds

OURS = tuple(code for code in checks() if code.startswith("PG1"))
STRAINED = MappingProxyType(
    {"fsync": "off", "pg_stat_statements.max": "100", "archive_mode": "on", "archive_command": "false"}
)


@pytest.fixture(scope="module")
def strained(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of its own with little room for statements, whose log reaches no archive."""
    at_hand = request.getfixturevalue("postgres_server")
    bin_dir: Path | None = at_hand.bin_dir if at_hand.source == "installed" else None
    with embedded_postgres(STRAINED, bin_dir=bin_dir) as server:
        with psycopg.connect(server.dsn, autocommit=True) as owner:
            owner.execute("create extension pg_stat_statements")
        yield server.dsn


@pytest.fixture(params=["nologin", "nologin in role pg_monitor"], ids=["nothing at all", "pg_monitor"])
def stranger(request: pytest.FixtureRequest, database: str) -> Iterator[str]:
    """The DSN of a role with few rights or none."""
    name = "dbtune_test_stranger"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(f"create role {name} {request.param}".encode())
        try:
            yield conninfo.make_conninfo(database, options=f"-c role={name}")
        finally:
            owner.execute(f"drop role {name}".encode())


def audited(dsn: str, *names: str) -> AuditReport:
    return audit(OpenTargets(dsn, None), Wish(only=names or OURS), silent)


@pytest.fixture
def alone(database: str) -> Iterator[str]:
    """The DSN of a role that may have one connection."""
    name = "dbtune_test_alone"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")
        owner.execute(f"create role {name} login in role pg_monitor connection limit 1".encode())
        try:
            yield conninfo.make_conninfo(database, user=name)
        finally:
            owner.execute(f"drop role {name}".encode())


def test_a_role_with_one_connection_gets_the_whole_audit(alone: str) -> None:
    looked = audit(OpenTargets(alone, None), Wish(), silent)
    assert set(looked.examined) >= {"PG001", "PG007", "PG015", "PG101", "PG201"}
    assert not any("connection" in one.reason for one in looked.skipped)


def test_the_connections_of_the_audit_itself_are_no_sessions_of_the_application(database: str) -> None:
    with connect(database) as first, connect(database) as second, psycopg.connect(database) as application:
        seen = {row.pid for row in fetch(first, "audit_sessions", Session)}
        assert not seen & {first.info.backend_pid, second.info.backend_pid}
        assert application.info.backend_pid in seen


def test_evictions_are_found_where_there_is_room_for_few_statements(strained: str) -> None:
    with psycopg.connect(strained, autocommit=True) as owner:
        for number in range(150):
            signs = "".join("+-"[number >> bit & 1] + "1" for bit in range(8))
            owner.execute(f"select 1 {signs}".encode())
    (found,) = audited(strained, "statements-evicted").findings
    assert found.evidence["entries_max"] == 100
    assert found.fix is not None
    assert found.fix.step == {"setting": {"name": "pg_stat_statements.max", "value": 200, "scope": "system"}}


def test_a_library_that_is_configured_and_not_loaded_is_named_beside_those_that_are(
    request: pytest.FixtureRequest,
) -> None:
    postgres_server = request.getfixturevalue("postgres_server")
    bin_dir = postgres_server.bin_dir if postgres_server.source == "installed" else None
    settings = {"shared_preload_libraries": "auto_explain", "pg_stat_statements.max": "1000"}
    with embedded_postgres(settings, bin_dir=bin_dir) as server:
        report = audited(server.dsn, "statements-missing")
    (found,) = report.findings
    assert "not loaded" in found.message
    assert found.fix is not None
    written = {"name": "shared_preload_libraries", "value": "auto_explain, pg_stat_statements", "scope": "system"}
    assert found.fix.step == {"setting": written}


def test_no_eviction_is_found_where_there_is_room(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")
        # Other tests of this server may have filled it.
        owner.execute("select pg_stat_statements_reset()")
    report = audited(database, "statements-evicted")
    assert report.findings == ()
    assert report.examined == ("PG108",)


def test_an_archive_that_fails_is_found_until_it_works_again(strained: str) -> None:
    with psycopg.connect(strained, autocommit=True) as owner:
        owner.execute("create table logged ()")
        owner.execute("select pg_switch_wal()")
        until_so(owner, "select failed_count > 0 from pg_stat_archiver")
        (found,) = audited(strained, "archiver-failing").findings
        assert (found.severity, "never" in found.message) == ("critical", True)
        owner.execute("alter system set archive_command = 'true'")
        owner.execute("select pg_reload_conf()")
        until_so(owner, "select last_archived_time > last_failed_time from pg_stat_archiver")
    assert audited(strained, "archiver-failing").findings == ()


@pytest.mark.pg(">= 14")
def test_connecting_for_every_request_is_found(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("select pg_stat_reset()")
        for _ in range(120):
            psycopg.connect(database).close()
        until_so(owner, "select sessions > 100 from pg_stat_database where datname = current_database()")
    (found,) = audited(database, "short-sessions").findings
    assert "use a pool" in found.message
    assert found.evidence["sessions"] > 100


def test_a_few_sessions_are_no_reason_for_a_pool(database: str) -> None:
    report = audited(database, "short-sessions")
    assert report.findings == ()
    assert report.examined == ("PG123",) or "14" in report.skipped[0].reason


def test_a_replica_that_does_not_follow_is_found(strained: str) -> None:
    """A client that speaks the replication protocol and confirms nothing but its start."""
    with psycopg.connect(strained, autocommit=True) as owner:
        row = owner.execute("select pg_current_wal_lsn()::text, pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        dsn = conninfo.make_conninfo(strained, replication="true", application_name="slow replica")
        with contextlib.closing(psycopg.connect(dsn, autocommit=True)) as replica:
            replica.pgconn.exec_(f"START_REPLICATION {row[0]}".encode())
            replica.pgconn.put_copy_data(b"r" + struct.pack("!QQQQB", *[int(row[1])] * 3, 0, 0))
            replica.pgconn.flush()
            assert audited(strained, "replica-lag").findings == ()
            owner.execute("create table filled as select repeat('x', 1900) from generate_series(1, 15000)")
            until_so(owner, "select pg_current_wal_lsn() - replay_lsn > 20000000 from pg_stat_replication")
            (found,) = audited(strained, "replica-lag").findings
    assert (found.object, found.severity) == ("slow replica", "warning")
    assert found.evidence["behind_bytes"] > 20_000_000


@pytest.fixture
def standby(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The DSNs of a primary and of a replica that follows it."""
    at_hand = request.getfixturevalue("postgres_server")
    if at_hand.bin_dir is None or not (at_hand.bin_dir / "pg_basebackup").exists():
        pytest.skip("this PostgreSQL has no pg_basebackup")
    with embedded_postgres({"fsync": "off"}, bin_dir=at_hand.bin_dir) as primary:
        owner = (primary.directory / "data").stat()
        place = conninfo.conninfo_to_dict(primary.dsn)
        files, port = primary.directory / "replica", "6543"
        subprocess.run(
            [
                *(primary.bin_dir / "pg_basebackup", "-h", str(place["host"]), "-p", str(place["port"])),
                *("-U", "postgres", "-D", files, "-R", "-c", "fast"),
            ],
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[] if os.getuid() == 0 else None,
            check=True,
        )
        options = {"port": port, "unix_socket_directories": str(primary.directory), "listen_addresses": ""}
        replica = subprocess.Popen(
            [primary.bin_dir / "postgres", "-D", files, *(f"--{name}={value}" for name, value in options.items())],
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[] if os.getuid() == 0 else None,
            stderr=subprocess.DEVNULL,
        )
        try:
            dsn = f"host={primary.directory} port={port} user=postgres dbname=postgres"
            until_accepted(dsn)
            yield primary.dsn, dsn
        finally:
            replica.send_signal(signal.SIGQUIT)
            replica.wait(20)


@pytest.mark.slow
def test_a_replica_that_does_not_replay_is_found_on_both_sides(standby: tuple[str, str]) -> None:
    primary, replica = standby
    with psycopg.connect(primary, autocommit=True) as writer, psycopg.connect(replica, autocommit=True) as reader:
        until_so(writer, "select count(*) > 0 from pg_stat_replication where replay_lsn is not null")
        reader.execute("select pg_wal_replay_pause()")
        writer.execute("create table filled as select repeat('x', 1900) from generate_series(1, 15000)")
        until_so(reader, "select pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn() > 20000000")
        (found,) = audited(replica, "standby-behind").findings
        assert (found.severity, "replay is paused" in found.message) == ("warning", True)
        assert found.evidence["unreplayed_bytes"] > 20_000_000
        (seen,) = audited(primary, "replica-lag").findings
        assert seen.evidence["behind_bytes"] > 20_000_000
        assert {one.code for one in audited(replica).findings} >= {"PG135", "PG147"}


def test_a_standby_is_judged_by_what_it_has_not_replayed(database: str) -> None:
    check = next(check for check in checks().values() if check.name == "standby-behind")
    server = Audited(180000, "db", "user", is_superuser=True, is_replica=True, statistics_age_s=1.0)
    assert list(check.judge([Standby(1000, 500.0, paused=False)], server)) == []
    found = list(check.judge([Standby(2 << 30, 500.0, paused=False), Standby(0, None, paused=True)], server))
    assert [getattr(one, "severity", None) for one in found] == ["critical", "warning"]
    primary = audited(database, "standby-behind")
    assert (primary.findings, primary.examined) == ((), ("PG135",))


def test_hidden_statements_are_counted_as_not_examined(database: str) -> None:
    assert checks()["PG109"].name == "statements-hidden"
    name = "dbtune_test_blind"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")
        owner.execute("select 'secret'")
        assert audited(database, "statements-hidden").skipped == ()
        owner.execute(f"create role {name}".encode())
        try:
            report = audited(
                conninfo.make_conninfo(database, options=f"-c role={name}"), "statements-hidden", "statement-share"
            )
        finally:
            owner.execute(f"drop role {name}".encode())
    assert {one.check for one in report.skipped} == {"PG104", "PG109"}
    assert all("hidden from" in one.reason and "pg_monitor" in str(one.hint) for one in report.skipped)


@pytest.mark.parametrize(
    ("text", "cut_off"),
    [
        ("select 1 where a = ')'", False),
        ('select "it\'s"', False),
        ("select $$it's ($$", False),
        ("select $tag$it's ($tag$ /* ( */ -- '", False),
        ("select count(*", True),
        ("select 'begun", True),
        ('select "begun', True),
    ],
)
def test_a_text_that_ends_in_the_middle_is_recognised(text: str, cut_off: bool) -> None:  # noqa: FBT001
    assert is_cut_off(text) is cut_off


def test_a_role_with_few_rights_gets_a_report_that_says_what_is_missing(database: str, stranger: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")
        owner.execute("select 1")
        report = audited(stranger)
    assert {"fsync", "work_mem"} <= {one.object for one in report.findings}
    assert len(report.examined) > 25
    assert all(one.hint for one in report.skipped), report.skipped


def test_every_fix_is_a_step_that_a_playbook_accepts(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create extension pg_stat_statements")
        owner.execute("set work_mem = '64kB'")
        owner.execute("select max(i) from (select i from generate_series(1, 60000) i order by -i offset 0) sorted")
        report = audited(database)
    steps: list[Mapping[str, object]] = [found.fix.step for found in report.findings if found.fix and found.fix.step]
    assert len(steps) >= 6
    for step in steps:
        ((kind, written),) = step.items()
        kinds()[kind].model_validate(written)
