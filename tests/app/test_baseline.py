"""Captures of real servers, whose counters move, are reset and are evicted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import conninfo, sql

from dbtune.app.baseline import Window, capture, compare
from dbtune.app.baseline_store import load, load_all, names, save
from dbtune.app.recording import recording
from dbtune.app.targets import OpenTargets
from dbtune.baseline.capture import Capture, Figure, Timing
from dbtune.baseline.probes import Probe, Statement
from dbtune.baseline.windows import statement_windows
from dbtune.core.errors import ChangeFailed, Misused, Unreachable
from dbtune.servers.embedded.postgres import embedded_postgres

TABLE = "create table t as select i as id, i % 500 as g from generate_series(1, 20000) i; analyze t"


@pytest.fixture
def app(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The application's connection to a database with the extension and one table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create extension pg_stat_statements")
        connection.execute(TABLE)
        yield connection


def watched(database: str, app: psycopg.Connection[tuple[object, ...]], name: str, calls: int = 40) -> Capture:
    """Four blocks of the same statement, between snapshots."""
    with recording(OpenTargets(database, None)) as record:
        record.snapshot()
        for _ in range(4):
            for number in range(calls):
                app.execute("select count(*) from t where g = %s", (number,))
            record.snapshot()
        return record.finish(name, "here")


def test_an_index_shows_as_improved_with_its_plan_and_its_name(
    database: str, app: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    question = "select count(*) from t where g = 7"
    options = {"statements": [Statement("by_g", question)], "directory": tmp_path}
    probes = [Probe("by_g", sql="select count(*) from t where g = $1", params=(7,))]
    targets = OpenTargets(database, None)
    capture("before", targets, probes=probes, **options)  # type: ignore[arg-type]
    old = watched(database, app, "w1")
    app.execute("create index t_g on t (g)")
    capture("after", targets, probes=probes, **options)  # type: ignore[arg-type]
    new = watched(database, app, "w2")
    found = compare("before", "after", directory=tmp_path)
    # A machine that does other things beside may leave it open; it never looks slower.
    median = next(metric for metric in found.metrics if metric.name == "by_g.p50")
    assert median.verdict in ("improved", "inconclusive")
    assert median.change is not None
    assert median.change < 0
    assert found.plans[0].changed
    assert any("using t_g" in line for line in found.plans[0].after or ())
    windows = compare(old, new)
    statement = next(change for change in windows.statements if change.query and "where g = $1" in change.query)
    assert statement.time.verdict in ("improved", "inconclusive")
    assert statement.before is not None
    assert statement.before.calls == 160
    assert statement.time.n_before == 4
    assert any(table.new_indexes == ("t_g",) for table in windows.tables)


def test_own_statements_are_not_taken_for_the_applications(
    database: str, app: psycopg.Connection[tuple[object, ...]]
) -> None:
    found = watched(database, app, "own")
    windows = statement_windows(found)
    texts = {found.texts[key.queryid] for key in windows.keys}
    assert texts == {"select count(*) from t where g = $1"}


def test_a_reset_within_the_window_is_noticed(database: str, app: psycopg.Connection[tuple[object, ...]]) -> None:
    with recording(OpenTargets(database, None)) as record:
        app.execute("select count(*) from t")
        record.snapshot()
        app.execute("select pg_stat_statements_reset()")
        app.execute("select count(*) from t")
        record.snapshot()
        found = record.finish("reset", "here")
    assert "reset" in (statement_windows(found).invalid or "")
    judged = compare(found, found)
    assert not judged.statements
    assert any(note.level == "invalid" for note in judged.trust.notes)


def test_evictions_are_said_and_rows_are_partial() -> None:
    with (
        embedded_postgres({"pg_stat_statements.max": "100"}) as server,
        psycopg.connect(server.dsn, autocommit=True) as app,
    ):
        app.execute("create extension if not exists pg_stat_statements")
        with recording(OpenTargets(server.dsn, None)) as record:
            record.snapshot()
            for number in range(400):
                app.execute(f"select 1{', 1' * number}".encode())
            record.snapshot()
            found = record.finish("evicted", "here")
        windows = statement_windows(found)
        assert windows.dealloc > 0
        assert any(delta.state == "partial" for delta in windows.windows[0].deltas.values())
        assert any("evicted" in note.message for note in compare(found, found).trust.notes)


def test_nothing_is_reset(database: str, app: psycopg.Connection[tuple[object, ...]], tmp_path: Path) -> None:
    app.execute("select count(*) from t")
    query = "select calls from pg_stat_statements where query = 'select count(*) from t'"
    before = app.execute(query.encode()).fetchone()
    capture("a", OpenTargets(database, None), window=Window(0.6, 3), directory=tmp_path)
    assert app.execute(query.encode()).fetchone() == before


def test_without_the_extension_the_capture_goes_on_and_says_how_to_get_it(database: str, tmp_path: Path) -> None:
    found = capture("a", OpenTargets(database, None), window=Window(0.2, 2), directory=tmp_path)
    assert [skipped.check for skipped in found.skipped] == ["statements"]
    assert "create extension" in (found.skipped[0].hint or "")
    assert found.snapshots[0].database is not None


def test_a_role_without_rights_sees_its_coverage(database: str, app: psycopg.Connection[tuple[object, ...]]) -> None:
    role = "dbtune_test_plain"
    app.execute(sql.SQL("drop role if exists {0}; create role {0} login").format(sql.Identifier(role)))
    try:
        plain = conninfo.make_conninfo(database, user=role, password="")
        with recording(OpenTargets(plain, None)) as record:
            for _ in range(2):
                app.execute("select count(*) from t")
                record.snapshot()
            found = record.finish("plain", "here")
        assert statement_windows(found).coverage == pytest.approx(0, abs=0.01)
        assert any("pg_read_all_stats" in (note.hint or "") for note in compare(found, found).trust.notes)
    finally:
        app.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_hit_rates_come_from_redis(database: str, cache_url: str) -> None:
    client = redis.Redis.from_url(cache_url)
    client.set("a", 1)

    def traffic(name: str, key: str) -> Capture:
        with recording(OpenTargets(database, cache_url)) as record:
            record.snapshot()
            for _ in range(3):
                for number in range(20):
                    client.get(key if number else "missing")
                record.snapshot()
            return record.finish(name, "here")

    found = compare(traffic("cold", "missing"), traffic("warm", "a"))
    client.close()
    metric = next(metric for metric in found.metrics if metric.name == "redis.hit_rate")
    assert (metric.before, metric.verdict) == (0.0, "improved")
    assert metric.after == pytest.approx(0.95)


def test_a_user_who_may_not_ask_redis_loses_only_that(database: str, cache_url: str) -> None:
    client = redis.Redis.from_url(cache_url)
    client.execute_command("ACL", "SETUSER", "baselines", "on", "nopass", "~*", "+ping")  # type: ignore[no-untyped-call]
    try:
        joint = "&" if "?" in cache_url else "?"
        with recording(OpenTargets(database, f"{cache_url}{joint}username=baselines&password=x")) as record:
            record.snapshot()
            record.snapshot()
            found = record.finish("a", "here")
        assert "redis" in {skipped.check for skipped in found.skipped}
        assert found.snapshots[1].database is not None
    finally:
        client.execute_command("ACL", "DELUSER", "baselines")  # type: ignore[no-untyped-call]
        client.close()


def test_what_a_caller_measured_itself_is_judged_beside_the_counters(database: str) -> None:
    def measured(name: str, level: float, statements: float) -> Capture:
        with recording(OpenTargets(database, None)) as record:
            record.snapshot()
            record.snapshot()
            return record.finish(
                name,
                "here",
                timings=[Timing("feed", tuple((level, level * 1.01) * 50 for _ in range(4)), "demo")],
                figures=[Figure("course.statements", "statements", "lower", (statements,), "demo", exact=True)],
            )

    found = compare(measured("slow", 0.2, 120), measured("fast", 0.01, 3))
    verdicts = {metric.name: metric.verdict for metric in found.metrics if not metric.informative}
    assert verdicts["feed.p50"] == verdicts["feed.p95"] == verdicts["course.statements"] == "improved"
    assert verdicts["feed.p99"] == "improved"


def test_probes_cannot_write_unless_allowed(database: str, app: psycopg.Connection[tuple[object, ...]]) -> None:
    writing = [Probe("w", sql="delete from t where id = 1")]
    targets = OpenTargets(database, None)
    with pytest.raises((ChangeFailed, Exception), match="read-only"):
        capture("a", targets, probes=writing, repeat=3, directory=None)
    assert len(capture("a", targets, probes=writing, repeat=3, allow_writes=True, directory=None).timings) == 1


def test_a_flow_is_a_function_that_makes_what_is_timed(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flow_under_test.py").write_text(
        "calls = []\ndef course(postgres_dsn, redis_url):\n    return lambda: calls.append(postgres_dsn)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = capture(
        "a", OpenTargets(database, None), probes=[Probe("c", flow="flow_under_test:course")], repeat=7, directory=None
    )
    assert len(found.timings[0].values_s) == 7
    with pytest.raises(Misused, match="cannot be loaded"):
        capture("a", OpenTargets(database, None), probes=[Probe("c", flow="no.such:thing")], directory=None)


def test_a_plan_that_cannot_be_had_is_skipped_with_its_reason(database: str) -> None:
    statements = [Statement("gone", "select * from nowhere"), Statement("one", "select 1")]
    found = capture("a", OpenTargets(database, None), statements=statements, directory=None)
    assert [plan.name for plan in found.plans] == ["one"]
    assert any(skipped.check == "plan of gone" and "nowhere" in skipped.reason for skipped in found.skipped)


def test_stored_captures_are_private_complete_and_listed(database: str, tmp_path: Path) -> None:
    found = capture("a", OpenTargets(database, None), directory=None)
    path = save(found, tmp_path / "deep" / "er")
    assert path.stat().st_mode & 0o077 == 0
    assert load("a", path.parent) == found
    assert load(str(path)) == found
    (path.parent / "broken.json").write_text(path.read_text()[:100])
    assert names(path.parent) == ["a", "broken"]
    assert {name: isinstance(item, Capture) for name, item in load_all(path.parent)} == {"a": True, "broken": False}
    assert not [item for item in path.parent.iterdir() if item.name.endswith(".part")]


@pytest.mark.parametrize("name", ["../a", "absent", "/etc/passwd", "."])
def test_what_is_not_there_is_one_clear_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(Misused):
        load(name, tmp_path)


def test_a_directory_and_a_k6_summary_are_no_baselines(tmp_path: Path) -> None:
    (tmp_path / "k6.json").write_text(json.dumps({"metrics": {}}))
    (tmp_path / "dir.json").mkdir()
    for name in ("k6", "dir"):
        with pytest.raises(Misused, match=name):
            load(name, tmp_path)


@pytest.mark.parametrize(("seconds", "parts"), [(-1, 6), (10, 0), (0.1, 6), (10, 5000)])
def test_a_window_that_cannot_be_is_refused(seconds: float, parts: int) -> None:
    with pytest.raises(Misused, match="window"):
        Window(seconds, parts)


def test_a_capture_holds_io_sessions_and_what_the_journal_knows(database: str, tmp_path: Path) -> None:
    from dbtune.app.apply import Order, apply_playbook
    from dbtune.app.workspace import opened
    from dbtune.core.progress import silent
    from dbtune.playbook.load import load as load_playbook

    with psycopg.connect(database, autocommit=True) as app:
        app.execute("create extension pg_stat_statements")
        app.execute(TABLE)
        old = watched_with_plans(database, app, "before")
        book = tmp_path / "book.yml"
        book.write_text("version: 1\nname: tune\nsteps:\n  - {name: By group, index: {table: t, columns: [g]}}\n")
        with opened(OpenTargets(database, None)) as workspace:
            apply_playbook(workspace, Order(load_playbook(book)), silent)
        new = watched_with_plans(database, app, "after")
    assert new.snapshots[-1].sessions is not None
    assert new.snapshots[-1].sessions.max_connections > 0
    if new.fingerprint.server_version >= 160000:
        assert any(row.backend_type == "client backend" for row in new.snapshots[-1].io)
    found = compare(old, new)
    assert [change.step for change in found.changes] == ["By group"]
    index = found.new_indexes[0]
    assert (index.playbook, index.definition is not None, (index.size_bytes or 0) > 0) == ("tune", True, True)
    statement = next(change for change in found.statements if change.query and "where g = $1" in change.query)
    assert statement.indexes_before == ()
    assert statement.indexes_after == (index.name,)
    assert statement.causes == (f'tune: "By group" made {index.name}',)


def watched_with_plans(database: str, app: psycopg.Connection[tuple[object, ...]], name: str) -> Capture:
    with recording(OpenTargets(database, None)) as record:
        record.snapshot()
        for _ in range(3):
            for number in range(40):
                app.execute("select count(*) from t where g = %s", (number,))
            record.snapshot()
        return record.finish(name, "here")


def test_an_endpoint_is_timed_and_one_that_is_not_there_is_an_error(database: str) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    targets = OpenTargets(database, None)
    found = capture("a", targets, urls=[("page", url)], repeat=10, directory=None)
    server.shutdown()
    server.server_close()
    thread.join()
    assert [(timing.name, timing.engine, len(timing.values_s)) for timing in found.timings] == [
        ("page", "probe:http", 10)
    ]
    with pytest.raises(Unreachable, match="nothing answers"):
        capture("a", targets, urls=[("page", url)], repeat=10, directory=None)


def test_commands_of_redis_are_counted(database: str, cache_url: str) -> None:
    found = capture("a", OpenTargets(database, cache_url), directory=None)
    assert found.snapshots[-1].redis_commands["info"].calls > 0


def test_tables_and_indexes_are_in_the_first_and_the_last_snapshot_and_count_over_their_own_time(
    database: str, app: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    app.execute("create index t_id on t (id)")
    found = capture("a", OpenTargets(database, None), window=Window(1.2, 3), directory=None)
    first, *between, last = found.snapshots
    assert [bool(shot.tables or shot.indexes) for shot in between] == [False, False]
    for shot in (first, last):
        assert {row.name for row in shot.tables} >= {"t"}
        assert {row.name for row in shot.indexes} >= {"t_id"}
    assert first.offset_s < first.tables_at_s < last.tables_at_s < last.offset_s
    assert last.offset_s - first.offset_s >= 1.2
    assert found.fingerprint.database_size_bytes
    stored = capture("b", OpenTargets(database, None), window=Window(1.2, 3), directory=tmp_path)
    assert load("b", tmp_path) == stored
