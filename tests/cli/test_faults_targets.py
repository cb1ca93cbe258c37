"""Servers that are not there, not PostgreSQL, not writable, or say no: exit 3 with a hint, and never a password."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

BOOK = "version: 1\nname: faults\nsteps:\n  - index: {table: items, columns: [owner, created_at]}\n"
SECRET = "s3cr3t-w0rd"  # noqa: S105 - what must not be seen


@pytest.fixture(scope="module")
def guarded() -> Iterator[EmbeddedPostgres]:
    """A server behind a password."""
    with embedded_postgres({"fsync": "off"}, tcp=True) as server:
        yield server


def refused(commands: Any, dsn: str, *words: str) -> None:
    path = commands.playbook(BOOK)
    for arguments in (("plan", path), ("apply", path, "--yes"), ("verify", path), ("history",)):
        answer = commands.run(*arguments, dsn=dsn)
        assert answer.code == 3, answer
        assert "hint: " in answer.err
        assert SECRET not in answer.out + answer.err
        for word in words:
            assert word in answer.err, answer.err


def test_nobody_listens_there(dbtune: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    refused(dbtune, f"postgresql://me:{SECRET}@127.0.0.1:{port}/app", "cannot be reached", "refused")


def test_a_host_that_does_not_exist(dbtune: Any) -> None:
    refused(dbtune, f"postgresql://me:{SECRET}@no-such-host.invalid/app", "cannot be reached", "no-such-host.invalid")


def test_a_socket_that_does_not_exist(dbtune: Any) -> None:
    refused(dbtune, f"host={dbtune.home} user=me password={SECRET} dbname=app", "No such file or directory")


def test_something_else_answers_there(dbtune: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def greet() -> None:
            for _ in range(4):
                peer, _address = server.accept()
                with peer:
                    peer.recv(100)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        refused(dbtune, f"postgresql://me:{SECRET}@127.0.0.1:{port}/app", "cannot be reached")


def test_a_wrong_password_a_wrong_role_and_a_wrong_database(dbtune: Any, guarded: EmbeddedPostgres) -> None:
    parts = urlsplit(guarded.dsn)
    place = f"{parts.hostname}:{parts.port}"
    refused(dbtune, f"postgresql://postgres:{SECRET}@{place}/postgres", "refused the password")
    refused(dbtune, f"postgresql://postgres@{place}/postgres", "no password supplied")
    refused(dbtune, guarded.dsn.removesuffix("postgres") + "nowhere", '"nowhere" does not exist')


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://me:{SECRET}@[::1/app",
        f"host localhost password={SECRET}",
        f"postgresql://me:{SECRET}@localhost/app?nonsense=1",
        f"host=localhost password='{SECRET}",
        f"mysql://me:{SECRET}@localhost/app",
        f"postgresql://me:{SECRET}@localhost:port/app",
        f"postgresql://me:p@{SECRET}@localhost/app",
        f"postgresql://me:p/{SECRET}@localhost/app",
        f"postgresql://me:100%{SECRET}@localhost/app",
        f"host=127.0.0.1 port=1 connect_timeout=soon password={SECRET}",
    ],
)
def test_what_is_no_url_is_said_to_be_none(dbtune: Any, dsn: str) -> None:
    answer = dbtune.run("plan", dbtune.playbook(BOOK), dsn=dsn)
    assert answer.code in (2, 3), answer
    assert "hint: " in answer.err
    assert SECRET not in answer.out + answer.err


def test_the_password_shows_nowhere(dbtune: Any, guarded: EmbeddedPostgres) -> None:
    """Not in the output, the journal, the server's own view, or the list of processes."""
    word = urlsplit(guarded.dsn).password
    assert word is not None
    text = (
        "version: 1\nname: secret\nsteps:\n"
        f"  - sql: {{apply: \"create role held password '{SECRET}'; select pg_sleep(1)\","
        f" rollback: \"drop role held; select 'password={SECRET}'\"}}\n"
    )
    path = dbtune.playbook(text)
    process = dbtune.start("apply", path, "--yes", "--format", "json", dsn=guarded.dsn)
    seen = ""
    while process.poll() is None:
        seen += "".join(_command_lines())
        time.sleep(0.05)
    applied = dbtune.end(process)
    assert applied.code == 0, applied
    assert word not in seen
    shown = applied.out + applied.err
    for arguments in (("plan", path), ("verify", path), ("history",), ("rollback", "last", "--yes")):
        for form in ("json", "terminal"):
            answer = dbtune.run(*arguments, "--format", form, "--debug", dsn=guarded.dsn)
            shown += answer.out + answer.err
    assert word not in shown
    assert SECRET not in shown
    journal = str(dbtune.sql("select step_id, name, actions, sql, before, after, error from dbtune.step", guarded.dsn))
    assert word not in journal
    assert SECRET not in journal


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue


@pytest.fixture
def weak(items: Any, postgres_dsn: str) -> Iterator[Any]:
    """A role that may log in, and nothing else: `items` belongs to somebody else."""
    role = f"weak_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create role {role} login".encode())
    yield as_role(items.dsn, role)
    items.sql(f"drop owned by {role}")
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"drop role {role}".encode())


def as_role(dsn: str, role: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}user={role}" if "://" in dsn else f"{dsn} user={role}"


def test_a_role_without_rights_is_told_which_one_it_lacks(items: Any, weak: str) -> None:
    cases = {
        "index: {table: items, columns: [owner]}": "only the owner",
        "setting: {name: log_min_duration_statement, value: 100ms, scope: system}": "may not ALTER SYSTEM",
        "setting: {name: work_mem, value: 64MB}": "only the owner of database",
        "analyze: {tables: [items]}": "only the owner",
    }
    # Autovacuum would analyze the table while the first cases run.
    items.sql("alter table items set (autovacuum_enabled = off)")
    items.sql("insert into items select -i, i from generate_series(1, 5000) i")
    items.until("select n_mod_since_analyze > 4000 from pg_stat_user_tables where relname = 'items'")
    for step, words in cases.items():
        path = items.playbook(f"version: 1\nname: weak\nsteps:\n  - {step}\n")
        for arguments in (("plan", path), ("apply", path, "--yes")):
            answer = items.json(*arguments, dsn=weak)
            assert answer.code == 3, answer
            assert words in answer.errors
    assert items.sql("select count(*) from pg_namespace where nspname = 'dbtune'") == [(0,)]


def test_a_role_that_may_not_make_a_schema_keeps_its_journal_in_a_file(items: Any, weak: str) -> None:
    role = items.sql("select current_user", weak)[0][0]
    items.sql(f"create schema own authorization {role}")
    items.sql("create table own.t (a int, b int)", weak)
    path = items.playbook(
        "version: 1\nname: filed\nsteps:\n  - index: {table: own.t, columns: [a]}\n"
        "  - sql: {apply: create table own.made (a int), rollback: drop table own.made}\n"
    )
    applied = items.json("apply", path, "--yes", dsn=weak)
    assert (applied.code, applied.statuses) == (0, ["applied", "applied"]), applied
    assert items.json("apply", path, "--yes", dsn=weak).statuses == ["unchanged", "unchanged"]
    assert items.sql("select count(*) from pg_namespace where nspname = 'dbtune'") == [(0,)]
    files = list((items.home / "state").rglob("*.jsonl"))
    assert len(files) == 1
    assert files[0].stat().st_mode & 0o077 == 0
    runs = items.json("history", dsn=weak).document["runs"]
    assert [run["status"] for run in runs] == ["unchanged", "applied"]
    assert {run["user"] for run in runs} == {role}
    undone = items.json("rollback", runs[1]["run_id"], "--yes", dsn=weak)
    assert (undone.code, undone.statuses) == (0, ["reverted", "reverted"]), undone
    assert items.sql("select to_regclass('own.made'), to_regclass('own.t_a_idx')") == [(None, None)]


def test_a_journal_that_belongs_to_somebody_else_is_no_obstacle(items: Any, weak: str) -> None:
    assert items.apply(items.playbook(BOOK)).code == 0
    role = items.sql("select current_user", weak)[0][0]
    items.sql(f"create schema own authorization {role}")
    path = items.playbook("version: 1\nname: w\nsteps:\n  - sql: {apply: create table own.made (a int)}\n")
    for granted in (None, f"grant usage on schema dbtune to {role}", f"grant select on dbtune.run to {role}"):
        if granted:
            items.sql(granted)
        assert items.json("plan", path, dsn=weak).code == 0
        applied = items.json("apply", path, "--yes", dsn=weak)
        assert applied.code == 0, applied
        assert len(items.json("history", dsn=weak).document["runs"]) >= 1
    assert applied.statuses == ["unchanged"]


def test_an_unknown_journal_is_not_made_by_asking_for_a_run(items: Any) -> None:
    assert items.rollback("last").code == 2
    assert items.rollback("20260101-000000-abcd").code == 2
    assert items.json("history").document["runs"] == []
    assert items.sql("select count(*) from pg_namespace where nspname = 'dbtune'") == [(0,)]


def test_a_server_that_goes_away_in_the_middle(dbtune: Any) -> None:
    with embedded_postgres({"fsync": "off"}) as server:
        path = dbtune.playbook("version: 1\nname: s\nsteps:\n  - sql: {apply: select pg_sleep(60)}\n")
        process = dbtune.start("apply", path, "--yes", "--format", "json", dsn=server.dsn)
        dbtune_sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        while dbtune.sql(dbtune_sleeps, server.dsn) == [(0,)]:
            time.sleep(0.05)
        dbtune.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dbtune'", server.dsn
        )
        answer = dbtune.end(process)
        assert answer.code == 3, answer
        assert "terminat" in answer.out + answer.err
        assert [run["status"] for run in dbtune.json("history", dsn=server.dsn).document["runs"]] == ["interrupted"]


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A primary with the table, and a copy of it that follows nobody: (primary, replica)."""
    with embedded_postgres({"fsync": "off"}) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("create table items (id bigint primary key, owner int, created_at timestamptz)")
            connection.execute("create index on items (owner, created_at)")
            connection.execute(
                "insert into items select i, i % 9, now() - i * interval '1 h' from generate_series(1, 20000) i"
            )
            connection.execute("analyze items")
        backup = server.bin_dir / "pg_basebackup"
        if not backup.exists():
            pytest.skip("this server comes without pg_basebackup")
        with _standby(server) as dsn:
            yield server.dsn, dsn


@contextlib.contextmanager
def _standby(server: EmbeddedPostgres) -> Iterator[str]:
    directory = server.directory / "replica"
    _run(server, "pg_basebackup", "-D", directory, "-d", server.dsn, "-R", "-X", "stream", "-c", "fast")
    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c config_file={directory}/postgresql.conf"
    _run(server, "pg_ctl", "-D", directory, "-w", "-l", directory / "log", "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={directory}&port=5432"
    finally:
        _run(server, "pg_ctl", "-D", directory, "-m", "immediate", "stop")
        shutil.rmtree(directory, ignore_errors=True)


def _run(server: EmbeddedPostgres, program: str, *arguments: str | Path) -> None:
    """Under the server's account: PostgreSQL refuses to be root."""
    own = server.directory.stat()
    user, group = (own.st_uid, own.st_gid) if os.geteuid() == 0 else (None, None)
    # Not captured: the server that pg_ctl starts keeps its end of a pipe open.
    command = [server.bin_dir / program, *arguments]
    subprocess.run(command, check=True, timeout=60, cwd="/", stdout=subprocess.DEVNULL, user=user, group=group)


def test_a_replica_is_refused_by_all_that_change_and_good_for_verify(dbtune: Any, replica: tuple[str, str]) -> None:
    _, dsn = replica
    path = dbtune.playbook(BOOK)
    for arguments in (("plan", path), ("apply", path, "--yes"), ("rollback", "last", "--yes")):
        answer = dbtune.run(*arguments, dsn=dsn)
        assert answer.code == 3, answer
        assert "replica" in answer.err
        assert "connect to the primary" in answer.err
    verified = dbtune.json("verify", path, dsn=dsn)
    assert (verified.code, verified.statuses) == (0, ["ok"]), verified
    assert dbtune.json("history", dsn=dsn).code == 0


def test_a_replica_is_good_for_advice_live_and_from_its_dump(
    dbtune: Any, replica: tuple[str, str], tmp_path: Path
) -> None:
    _, dsn = replica
    statement = ("--sql", "select * from items where created_at = now()")
    live = dbtune.json("advise", *statement, dsn=dsn)
    assert live.code == 0, live
    assert [one["columns"][0]["name"] for one in live.document["recommendations"]] == ["created_at"]
    path = str(tmp_path / "replica.twin")
    assert dbtune.run("twin", "dump", path, "--no-statements", dsn=dsn).code == 0
    offline = dbtune.json("advise", "--from", path, *statement)
    assert offline.document["workload"] == live.document["workload"]
    assert offline.document["recommendations"] == live.document["recommendations"]


def test_a_replica_takes_a_load_that_reads_and_refuses_one_that_writes(dbtune: Any, replica: tuple[str, str]) -> None:
    _, dsn = replica
    book = "version: 1\nname: l\nsteps:\n  - load: {scripts: {a: 'SCRIPT'}, stages: [{duration: 1s, clients: 1}]}\n"
    reads = dbtune.json("load", dbtune.playbook(book.replace("SCRIPT", "select count(*) from items")), dsn=dsn)
    assert reads.code == 0, reads
    writing = "-- a comment\\n\\\\set n 1\\nwith x as (DELETE from items returning 1) select 1"
    for script in ("insert into items values (1)", writing):
        body = book.replace("'SCRIPT'", f'"{script}"')
        writes = dbtune.run("load", dbtune.playbook(body), dsn=dsn)
        assert (writes.code, writes.out) == (3, ""), writes
        assert "replica" in writes.err


def test_the_holder_of_the_lock_is_named(items: Any) -> None:
    path = items.playbook("version: 1\nname: s\nsteps:\n  - sql: {apply: select pg_sleep(60)}\n")
    process = items.start("apply", path, "--yes")
    items.until("select exists (select from pg_stat_activity where wait_event = 'PgSleep')")
    holder = items.sql("select pid from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'")[0][0]
    for answer in (items.apply(path), items.rollback()):
        assert answer.code == 5, answer
        assert f"backend {holder}" in answer.err
        assert "--lock-wait" in answer.err
    process.terminate()
    assert items.end(process).code == 130
