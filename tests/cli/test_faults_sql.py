"""`sql` and `explain` steps with hostile texts: one transaction, one statement where one is promised, no escape."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest


def book(*steps: dict[str, Any]) -> str:
    """JSON is YAML: nothing in a text has to be quoted twice."""
    return json.dumps({"version": 1, "name": "faults", "steps": list(steps)})


def sql(apply: str, **more: str) -> dict[str, Any]:
    return {"sql": {"apply": apply, **more}}


def test_without_verify_a_text_runs_once_and_again_when_it_changed(items: Any) -> None:
    items.sql("create table log (n int)")
    first, second = book(sql("insert into log values (1)")), book(sql("insert into log values (2)"))
    assert items.apply(items.playbook(first)).statuses == ["applied"]
    assert items.apply(items.playbook(first)).statuses == ["unchanged"]
    assert items.apply(items.playbook(second)).statuses == ["applied"]
    assert items.sql("select n from log order by n") == [(1,), (2,)]


@pytest.mark.parametrize(
    "text",
    [
        "create table made (a text); insert into made values (';'), ('--'), ('%s'), ('%(x)s %'), ($$;'$$); -- the end",
        "create table made (a text); create function f() returns int language sql as $q$ select length('a;b'); $q$;",
        "create table made (a text); do $$ begin if true then insert into made values ('x'); end if; end $$;",
        "/* ; */ create table made (a text) ; ; -- ; drop table items\n;",
        "create table made (a text); create function g() returns int begin atomic; select 1; select 2; end; select g()",
        "create table made (a text default E'\\';'); select 'it''s';",
    ],
)
def test_semicolons_comments_and_quotes_are_postgresqls_to_read(items: Any, text: str) -> None:
    if "begin atomic" in text and items.sql("select current_setting('server_version_num')::int >= 140000") == [
        (False,)
    ]:
        pytest.skip("BEGIN ATOMIC came with 14")
    answer = items.apply(items.playbook(book(sql(text, rollback="drop table made cascade"))))
    assert (answer.code, answer.statuses) == (0, ["applied"]), answer.errors or answer.err
    assert items.sql("select to_regclass('made')::text, to_regclass('items')::text") == [("made", "items")]
    assert items.rollback().statuses == ["reverted"]


def test_a_failure_in_the_middle_leaves_nothing_half_done(items: Any) -> None:
    path = items.playbook(book(sql("create table made (a int); select 1 / 0; create table other (a int)")))
    answer = items.apply(path)
    assert (answer.code, answer.statuses) == (4, ["failed"])
    assert "division by zero" in answer.errors
    assert items.sql("select to_regclass('made')") == [(None,)]
    assert items.rollback().statuses == ["kept"]


@pytest.mark.parametrize(
    "word", ["commit", "rollback", "begin", "end", "abort", "start transaction", "commit and chain"]
)
def test_a_text_may_not_end_the_transaction_that_it_runs_in(items: Any, word: str) -> None:
    path = items.playbook(book(sql(f"create table made (a int); {word}; select 1 / 0")))
    answer = items.apply(path)
    assert answer.code in (2, 4), answer
    assert items.sql("select to_regclass('made')") == [(None,)]


def test_copy_from_stdin_is_refused_as_what_it_is(items: Any) -> None:
    answer = items.apply(items.playbook(book(sql("copy items from stdin"))))
    assert answer.code == 2, answer
    assert "COPY FROM STDIN" in answer.err


def test_what_cannot_run_in_a_transaction_runs_without(items: Any) -> None:
    steps = (
        sql("vacuum items"),
        sql("create index concurrently c on items (note)", rollback="drop index concurrently c"),
        sql("reindex (verbose) table concurrently items"),
        sql("vacuum (analyze) items; create index concurrently d on items (owner)", rollback="drop index d"),
    )
    answer = items.apply(items.playbook(book(*steps)))
    assert answer.statuses == ["applied"] * 4, answer.errors
    assert items.rollback().statuses == ["reverted", "kept", "reverted", "kept"]
    assert items.sql("select to_regclass('c'), to_regclass('d')") == [(None, None)]


def test_a_verify_that_stays_false_fails_and_the_rollback_still_knows_of_it(items: Any) -> None:
    path = items.playbook(book(sql("create table made (a int)", verify="select false", rollback="drop table made")))
    answer = items.apply(path)
    assert (answer.code, answer.statuses) == (4, ["failed"])
    assert "its verify query does not return true" in answer.errors


@pytest.mark.slow(20)
def test_a_lock_that_is_not_to_be_had_fails_clearly_and_nobody_queues_long(items: Any) -> None:
    path = items.playbook(book(sql("alter table items add extra int")))
    with psycopg.connect(items.dsn) as holder:
        holder.execute("lock table items in access share mode")
        process = items.start("apply", path, "--yes", "--format", "json")
        items.until("select exists (select from pg_locks where not granted)")
        # A reader comes after the waiting ALTER TABLE, and must not wait for the holder.
        reader = threading.Thread(target=items.sql, args=("set statement_timeout = '8s'; select count(*) from items",))
        reader.start()
        reader.join(9)
        assert not reader.is_alive()
        answer = items.end(process)
    assert (answer.code, answer.statuses) == (4, ["failed"])
    assert "could not get its lock" in answer.errors


def test_a_lock_that_comes_free_is_taken_at_the_next_try(items: Any) -> None:
    path = items.playbook(book(sql("alter table items add extra int")))
    with psycopg.connect(items.dsn) as holder:
        holder.execute("lock table items in access share mode")
        process = items.start("apply", path, "--yes", "--format", "json")
        items.until("select exists (select from pg_locks where not granted)")
        items.until("select not exists (select from pg_locks where not granted)")
    assert items.end(process).statuses == ["applied"]


HOSTILE = (
    "select true; create table escaped (a int)",
    "select true; commit; create table escaped (a int)",
    r"select '\'; commit; set default_transaction_read_only = off; create table escaped (a int); --' is not null",
    "create table escaped (a int)",
    "with gone as (delete from items returning 1) select true from gone",
    "select true into escaped",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("command", ["plan", "verify"])
def test_a_verify_query_cannot_leave_its_read_only_transaction(items: Any, text: str, command: str) -> None:
    path = items.playbook(book(sql("select 1", verify=text)))
    answer = items.json(command, path)
    assert answer.code in (0, 1, 2), answer
    assert items.sql("select to_regclass('escaped')::text, count(*) from items") == [(None, 2000)]


def test_a_verify_query_cannot_open_the_door_for_the_next_one(items: Any) -> None:
    items.sql("create function escape() returns bool language sql as 'create table escaped (a int); select true'")
    steps = (
        sql("select 1", verify="select set_config('default_transaction_read_only', 'off', false) = 'off'"),
        sql("select 2", verify="set session characteristics as transaction read write"),
        sql("select 3", verify="set transaction read write"),
        sql("select 5", verify="select escape()"),
    )
    path = items.playbook(book(*steps))
    for command in ("plan", "verify"):
        assert items.json(command, path).code in (0, 1)
        assert items.sql("select to_regclass('escaped')") == [(None,)]


EXPLAINED = (
    r"select '\'; commit; set default_transaction_read_only = off; create table escaped (a int); --' = $1",
    r"select $1::text, '\'; create table escaped (a int); --'",
    "select 1; create table escaped (a int)",
    "delete from items where id = $1",
    "with gone as (delete from items returning 1) select $1::int from gone",
    "analyze select 1",
    "select escape() where $1 = 1",
)


@pytest.mark.parametrize("text", EXPLAINED)
@pytest.mark.parametrize("params", [[], [1]])
def test_an_explained_statement_is_one_and_changes_nothing(items: Any, text: str, params: list[int]) -> None:
    items.sql("create function escape() returns bool language sql as 'create table escaped (a int); select true'")
    for expect in ({}, {"max_time": "1s"}):
        path = items.playbook(book({"explain": {"sql": text, "params": params, "expect": expect}}))
        for arguments in (("plan", path), ("verify", path), ("apply", path, "--yes")):
            assert items.json(*arguments).code in (0, 1, 2, 4)
    assert items.sql("select to_regclass('escaped')::text, count(*) from items") == [(None, 2000)]


def test_expectations_decide_and_say_why(items: Any) -> None:
    def verify(text: str, params: list[Any], **expect: Any) -> Any:
        return items.json(
            "verify", items.playbook(book({"explain": {"sql": text, "params": params, "expect": expect}}))
        )

    met = verify("select * from items where id = $1", [7], uses_index="items_pkey", no_seq_scan=True, max_time="10s")
    assert (met.code, met.statuses) == (0, ["ok"]), met
    generic = verify("select * from items where id = $1", [], uses_index=True)
    assert generic.code == 0, generic
    text = verify(
        "select * from items where note = $1 and created_at < $2", ["x'; --", "2030-01-01"], no_seq_scan="items"
    )
    assert (text.code, text.errors) == (1, "items is read as a whole")
    removed = verify("select * from items where owner = $1", [5], max_rows_removed=10)
    assert removed.code == 1
    assert "threw away 1980 rows" in removed.errors
    slow = verify("select pg_sleep($1)", [0.05], max_time="1ms")
    assert slow.code == 1
    assert "more than 1.00ms" in slow.errors
    unknown = verify("select * from itms where id = $1", [1], uses_index=True)
    assert unknown.code == 1
    assert '"itms" does not exist' in unknown.errors
    path = items.playbook(book({"explain": {"sql": "select * from itms"}}))
    assert items.json("plan", path).statuses == ["conflict"]
    assert items.apply(path).code == 4


@pytest.mark.slow(30)
def test_a_statement_that_never_ends_is_a_failed_expectation_not_a_failed_run(items: Any) -> None:
    steps = (
        {"explain": {"sql": "select pg_sleep(40)", "expect": {"max_time": "50ms"}}},
        {"explain": {"sql": "select 1", "expect": {"max_time": "10s"}}},
    )
    answer = items.json("verify", items.playbook(book(*steps)))
    assert (answer.code, answer.statuses) == (1, ["failed", "ok"]), answer
    assert "timeout" in answer.errors
