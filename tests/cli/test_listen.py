"""Events from PostgreSQL's triggers to the cache, across the loss of either server."""

from __future__ import annotations

import json
import queue
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import redis
from patience import until
from topologies import plain_server

TABLE = """
create table contents (id bigint primary key, title text, views int, meta json);
insert into contents select i, 'title ' || i, 0, '{}' from generate_series(1, 10) i
"""
PLAYBOOK = """
version: 1
name: service
steps:
  - invalidate_on: {table: contents, event: content.updated, arguments: {content_id: id}, columns: [title, meta]}
cache:
  events:
    content.updated:
      keys: ["rec:content:{content_id}:full"]
      patterns: ["rec:list:{content_id}:*"]
      tags: ["content-{content_id}"]
"""


@dataclass
class Ear:
    """A running `dbtune invalidate --listen`; what it says on either stream, line by line."""

    process: Any
    results: queue.Queue[str] = field(default_factory=queue.Queue)
    news: queue.Queue[str] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        for stream, lines in ((self.process.stdout, self.results), (self.process.stderr, self.news)):
            threading.Thread(target=lambda s=stream, q=lines: [q.put(line) for line in s], daemon=True).start()

    def hears(self, event: str) -> dict[str, Any]:
        """The next result that names the event; others before it are passed over."""
        while True:
            document = json.loads(self.results.get(timeout=60))
            if any(event in one for one in document["events"]):
                return dict(document)

    def says(self, words: str) -> None:
        while words not in self.news.get(timeout=60):
            pass


@pytest.fixture
def listening(dbtune: Any, cache_url: str) -> Iterator[Ear]:
    """Triggers installed, the first catching up done."""
    dbtune.sql(TABLE)
    playbook = dbtune.playbook(PLAYBOOK)
    answer = dbtune.apply(playbook)
    assert answer.statuses == ["applied"], answer.out
    ear = Ear(dbtune.start("invalidate", playbook, "--listen", "--redis", cache_url, "--format", "json"))
    ear.hears("whatever was missed")
    yield ear
    if ear.process.poll() is None:
        ear.process.send_signal(signal.SIGTERM)
        ear.process.wait(timeout=60)


@pytest.fixture
def client(cache_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(cache_url) as client:
        yield client


def test_a_committed_change_removes_its_keys_and_one_that_is_rolled_back_does_not(
    dbtune: Any, listening: Ear, client: redis.Redis
) -> None:
    client.mset({"rec:content:4:full": 1, "rec:content:5:full": 1, "rec:list:4:a": 1})
    with psycopg.connect(dbtune.dsn) as connection:
        connection.execute("update contents set title = 'x' where id = 5")
        connection.rollback()
    dbtune.sql("update contents set title = 'new' where id = 4")
    document = listening.hears("content.updated content_id=4")
    assert {step["name"]: step["keys"] for step in document["steps"]} == {
        "key rec:content:4:full": 1, "tag content-4": 0, "pattern rec:list:4:*": 1,
    }  # fmt: skip
    assert client.exists("rec:content:4:full", "rec:list:4:a") == 0
    assert client.exists("rec:content:5:full") == 1


def test_an_update_of_other_columns_says_nothing_and_a_changed_key_says_both(
    dbtune: Any, listening: Ear, client: redis.Redis
) -> None:
    client.mset({f"rec:content:{number}:full": 1 for number in (1, 2, 3, 33)})
    dbtune.sql("update contents set views = views + 1 where id = 1")
    dbtune.sql("update contents set id = 33, title = 'moved' where id = 3")
    dbtune.sql("delete from contents where id = 2")
    listening.hears("content_id=2")
    assert set(client.scan_iter("rec:*")) == {b"rec:content:1:full"}


def test_truncate_and_what_is_too_long_for_a_notification_remove_all_that_the_event_could_concern(
    dbtune: Any, listening: Ear, client: redis.Redis
) -> None:
    client.mset({f"rec:content:{number}:full": 1 for number in range(5)})
    client.zadd("dbtune:tag:content-7", {"tagged": 9e15})
    client.mset({"tagged": 1, "other": 1})
    dbtune.sql("truncate contents")
    listening.hears("content.updated")
    until(lambda: client.exists("tagged") == 0, "the tag's members are gone")
    assert list(client.scan_iter("rec:*")) == []
    assert client.exists("other") == 1


def test_a_lost_session_is_made_anew_and_the_gap_is_made_good(dbtune: Any, listening: Ear, client: redis.Redis) -> None:
    client.mset({"rec:content:1:full": 1, "rec:content:9:full": 1, "other": 1})
    dbtune.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'dbtune' and datname = current_database() and pid <> pg_backend_pid()"
    )
    listening.says("PostgreSQL is back")
    listening.hears("whatever was missed")
    assert client.exists("rec:content:1:full", "rec:content:9:full") == 0
    assert client.exists("other") == 1
    client.set("rec:content:4:full", 1)
    dbtune.sql("update contents set title = 'later' where id = 4")
    listening.hears("content_id=4")
    assert client.exists("rec:content:4:full") == 0


def test_events_wait_while_redis_is_away(dbtune: Any) -> None:
    dbtune.sql(TABLE)
    playbook = dbtune.playbook(PLAYBOOK)
    dbtune.apply(playbook)
    with plain_server() as (_, port):
        url = f"redis://127.0.0.1:{port}/0"
        ear = Ear(dbtune.start("invalidate", playbook, "--listen", "--redis", url, "--format", "json"))
        ear.hears("whatever was missed")
        with redis.Redis(port=port) as client:
            client.shutdown(nosave=True)
        dbtune.sql("update contents set title = 'while away' where id = 7")
        ear.says("1 event waits")
    from dbtune.servers.embedded.valkey import embedded_valkey

    with embedded_valkey({"port": str(port), "requirepass": ""}, tcp=True), redis.Redis(port=port) as client:
        client.set("rec:content:7:full", "older")
        ear.hears("content_id=7")
        assert client.exists("rec:content:7:full") == 0
    ear.process.send_signal(signal.SIGTERM)
    assert ear.process.wait(timeout=60) == 0


def test_an_event_of_the_application_itself_and_one_that_nobody_knows(
    dbtune: Any, listening: Ear, client: redis.Redis
) -> None:
    client.set("rec:content:8:full", 1)
    for payload in ("content.updated content_id=8", "nonsense {", '{"event": 5}', "other.event id=1"):
        dbtune.sql(f"select pg_notify('dbtune_invalidate', '{payload}')")
    listening.hears("content_id=8")
    listening.says('no event "other.event"')
    assert client.exists("rec:content:8:full") == 0


def test_sigterm_ends_it_with_0_and_without_a_word(listening: Ear) -> None:
    listening.process.send_signal(signal.SIGTERM)
    assert listening.process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--key", "a"], "--listen takes a playbook"), (["--format", "html"], "standard output")]
)
def test_listening_takes_no_keys_and_writes_no_page(arguments: list[str], said: str, dbtune: Any) -> None:
    answer = dbtune.run("invalidate", dbtune.playbook(PLAYBOOK), "--listen", *arguments)
    assert (answer.code, said in answer.err) == (2, True)


class TestTheTriggers:
    def test_they_are_there_after_apply_and_a_second_apply_changes_nothing(self, dbtune: Any) -> None:
        dbtune.sql(TABLE)
        playbook = dbtune.playbook(PLAYBOOK)
        assert dbtune.apply(playbook).statuses == ["applied"]
        assert dbtune.apply(playbook).statuses == ["unchanged"]
        assert dbtune.json("verify", playbook).code == 0
        assert len(dbtune.sql("select 1 from pg_trigger where tgrelid = 'contents'::regclass")) == 2

    def test_rollback_leaves_the_schema_as_it_was(self, dbtune: Any, dump: Any) -> None:
        dbtune.sql(TABLE)
        before = dump(dbtune.dsn)
        dbtune.apply(dbtune.playbook(PLAYBOOK))
        assert dbtune.rollback().statuses == ["reverted"]
        assert dump(dbtune.dsn) == before

    def test_a_disabled_trigger_is_not_verified_and_made_anew(self, dbtune: Any) -> None:
        dbtune.sql(TABLE)
        playbook = dbtune.playbook(PLAYBOOK)
        dbtune.apply(playbook)
        dbtune.sql("alter table contents disable trigger all")
        assert dbtune.json("verify", playbook).code == 1
        assert dbtune.apply(playbook).statuses == ["applied"]
        assert dbtune.json("verify", playbook).code == 0

    @pytest.mark.parametrize("odd", ['we"ird', "$dbtune$", "per%cent", "ключ", "back\\slash", "quo'te"])
    def test_odd_names_and_values_arrive_as_they_are(self, odd: str, dbtune: Any, cache_url: str) -> None:
        quoted = odd.replace('"', '""')
        dbtune.sql(f'create table "{quoted}" ("{quoted}" text)')
        step = {"table": f'"{quoted}"', "event": odd, "arguments": {"id": odd}, "channel": odd}
        event = {"keys": ["k:{id}"]}
        document = {"version": 1, "name": "odd", "steps": [{"invalidate_on": step}], "cache": {"events": {odd: event}}}
        playbook = dbtune.playbook(json.dumps(document))
        assert dbtune.apply(playbook).statuses == ["applied"]
        with psycopg.connect(dbtune.dsn, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(odd)))
            insert = psycopg.sql.SQL("insert into {} values ({})")
            connection.execute(insert.format(psycopg.sql.Identifier(odd), psycopg.sql.Literal(odd)))
            (heard,) = connection.notifies(timeout=30, stop_after=1)
        assert json.loads(heard.payload) == {"event": odd, "arguments": {"id": odd}}
        assert dbtune.rollback().statuses == ["reverted"]

    def test_rows_of_partitions_are_heard_and_what_is_not_is_said(self, dbtune: Any) -> None:
        dbtune.sql(
            "create table contents (id bigint, title text, meta json) partition by range (id);"
            "create table contents_1 partition of contents for values from (0) to (10);"
            "insert into contents values (1, 'a', null), (2, 'b', null)"
        )
        playbook = dbtune.playbook(PLAYBOOK)
        assert "a partition that is truncated by its own name" in dbtune.json("plan", playbook).notes
        assert dbtune.apply(playbook).statuses == ["applied"]
        dbtune.sql("create table contents_2 partition of contents for values from (10) to (20)")
        with psycopg.connect(dbtune.dsn, autocommit=True) as connection:
            connection.execute("listen dbtune_invalidate")
            connection.execute("update contents set title = 'x' where id = 1")
            connection.execute("delete from contents_1 where id = 2")
            connection.execute("insert into contents_2 values (12, 'later', null)")
            connection.execute("truncate contents")
            heard = [json.loads(one.payload) for one in connection.notifies(timeout=30, stop_after=4)]
        assert [one.get("arguments", one.get("all")) for one in heard] == [
            {"content_id": "1"}, {"content_id": "2"}, {"content_id": "12"}, True,
        ]  # fmt: skip
        assert dbtune.rollback().statuses == ["reverted"]

    def test_what_is_too_long_never_fails_the_applications_transaction(self, dbtune: Any) -> None:
        dbtune.sql("create table notes (body text)")
        text = (
            PLAYBOOK.replace("contents", "notes")
            .replace("{content_id: id}", "{content_id: body}")
            .replace("[title, meta]", "[]")
        )
        assert dbtune.apply(dbtune.playbook(text)).statuses == ["applied"]
        with psycopg.connect(dbtune.dsn, autocommit=True) as connection:
            connection.execute("listen dbtune_invalidate")
            connection.execute("insert into notes values (repeat('x', 100000))")
            (heard,) = connection.notifies(timeout=30, stop_after=1)
        assert json.loads(heard.payload) == {"event": "content.updated", "all": True}

    def test_a_table_or_a_column_that_is_not_there_is_a_conflict(self, dbtune: Any) -> None:
        dbtune.sql(TABLE)
        for old, new, said in (
            ("table: contents", "table: content", "contents"),
            ("id: id", "id: ident", "no column ident"),
        ):
            answer = dbtune.json("plan", dbtune.playbook(PLAYBOOK.replace(old, new)))
            assert answer.statuses == ["conflict"]
            assert said in answer.errors

    def test_who_may_not_is_told_what_it_takes(self, dbtune: Any) -> None:
        dbtune.sql(TABLE)
        dbtune.sql("create role dbtune_reader login")
        try:
            dbtune.sql("grant select on contents to dbtune_reader")
            dsn = psycopg.conninfo.make_conninfo(dbtune.dsn, user="dbtune_reader")
            answer = dbtune.json("plan", dbtune.playbook(PLAYBOOK), dsn=dsn)
            assert answer.statuses == ["blocked"]
            assert "TRIGGER on the table" in answer.errors
        finally:
            dbtune.sql("drop owned by dbtune_reader; drop role dbtune_reader")

    def test_a_busy_table_is_waited_for_in_short_tries(self, dbtune: Any) -> None:
        dbtune.sql(TABLE)
        with psycopg.connect(dbtune.dsn) as busy:
            busy.execute("lock table contents in row exclusive mode")
            process = dbtune.start("apply", dbtune.playbook(PLAYBOOK), "--yes", "--format", "json")
            dbtune.until("select exists (select from pg_locks where not granted)")
            busy.rollback()
        answer = dbtune.end(process)
        assert answer.statuses == ["applied"], answer.out
