"""A loop that the counters suspect and the server's own log proves, in each of its forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest
from typer.testing import CliRunner

from dbtune.app.log_sample import with_sample
from dbtune.app.statement_windows import watch
from dbtune.checks.check import Audited
from dbtune.checks.n_plus_one import judge
from dbtune.cli.main import app
from dbtune.core.errors import Misused
from dbtune.core.findings import Finding, Unexamined
from dbtune.nplusone.traffic import Traffic
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres
from dbtune.servers.postgres.session import connect

SERVER = Audited(180000, "x", "x", is_superuser=True, is_replica=False, statistics_age_s=1.0)
TABLES = """
create extension pg_stat_statements;
create table authors (id int primary key, name text);
create table posts (id int primary key, author_id int not null references authors);
insert into authors select i, 'a' from generate_series(1, 50) i;
insert into posts select i, 1 + i % 50 from generate_series(1, 500) i
"""
LOGS = {
    "logging_collector": "on",
    "log_destination": "stderr,csvlog,jsonlog",
    "log_filename": "server",
    "log_min_duration_statement": "0",
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres(LOGS) as started:
        with psycopg.connect(started.dsn, autocommit=True) as connection:
            connection.execute(TABLES)
        yield started


def pages(dsn: str, seed: int) -> None:
    draw = Random(seed)  # noqa: S311 - seeded on purpose
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(draw.randint(2, 6)):
            listed = "select id, author_id from posts order by id limit %s"
            for _, author in connection.execute(listed, (draw.randint(6, 30),)).fetchall():
                connection.execute("select name from authors where id = %s", (author,))


def logs(server: EmbeddedPostgres) -> dict[str, Path]:
    with psycopg.connect(server.dsn) as connection:
        row = connection.execute("select current_setting('data_directory')").fetchone()
    assert row is not None
    return {one.suffix or ".log": one for one in (Path(row[0]) / "log").iterdir()}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_log_confirms_what_the_counters_suspect_in_each_of_its_forms(server: EmbeddedPostgres) -> None:
    seeds = iter(range(100))
    with connect(server.dsn) as session:
        session.execute("select public.pg_stat_statements_reset()")
        seen = watch(session, 6.0, 6, pause=lambda _: pages(server.dsn, next(seeds)))
    found = logs(server)
    assert {".json", ".csv"} < set(found)
    for log in found.values():
        (finding,) = [one for one in judge([with_sample(seen, log)], SERVER) if isinstance(one, Finding)]
        assert finding.evidence["level"] == "confirmed", log
        assert "different values in one session" in finding.message
    outcome = CliRunner().invoke(
        app,
        ["audit", "--postgres", server.dsn, "--only", "PG201", "--format", "json", "--log", str(found[".json"])],
        catch_exceptions=False,
    )
    assert outcome.exit_code == 0
    (told,) = json.loads(outcome.stdout)["findings"]
    assert told["evidence"]["level"] == "confirmed"
    assert {"kind", "level", "score", "parent", "child", "calls_per_parent", "edge"} <= set(told["evidence"])
    for side in ("parent", "child"):
        assert isinstance(told["evidence"][side]["queryid"], str)
        assert told["evidence"][side]["query"].startswith("select")


def test_a_log_without_statements_is_said_and_one_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    nothing = Traffic((), (), 0.0, is_snapshot=True)
    (tmp_path / "empty.log").write_bytes(b"\xff\x00 nothing here\n")
    (said,) = list(judge([with_sample(nothing, tmp_path / "empty.log")], SERVER))
    assert isinstance(said, Unexamined)
    assert "no statement" in said.reason
    with pytest.raises(Misused, match=r"missing\.log"):
        with_sample(nothing, tmp_path / "missing.log")
