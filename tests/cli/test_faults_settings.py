"""`setting` steps: prior entries come back, odd values survive their quoting, what cannot work is said by plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server of one's own: ALTER SYSTEM is for all of its databases."""
    with embedded_postgres({"fsync": "off"}) as server:
        yield server


@pytest.fixture
def tuned(dbtune: Any, server: EmbeddedPostgres) -> Iterator[Any]:
    import dataclasses

    mine = dataclasses.replace(dbtune, dsn=server.dsn)
    yield mine
    mine.sql("alter system reset all")
    mine.sql("select pg_reload_conf()")
    mine.sql("alter database postgres reset all")
    mine.sql("drop schema if exists dbtune cascade")


def book(*settings: dict[str, Any]) -> str:
    steps = [setting if "slow_log" in setting else {"setting": setting} for setting in settings]
    return json.dumps({"version": 1, "name": "settings", "steps": steps})


def entries(commands: Any) -> dict[str, str]:
    rows = commands.sql(
        "select name, setting from pg_file_settings where sourcefile like '%postgresql.auto.conf' order by seqno"
    )
    return dict(rows)


def test_an_earlier_entry_of_alter_system_comes_back(tuned: Any) -> None:
    tuned.sql("alter system set random_page_cost = 2.5")
    tuned.sql("select pg_reload_conf()")
    path = tuned.playbook(book({"name": "random_page_cost", "value": 1.1, "scope": "system"}))
    assert tuned.apply(path).statuses == ["applied"]
    assert tuned.apply(path).statuses == ["unchanged"]
    assert tuned.json("verify", path).code == 0
    undone = tuned.rollback("last")
    assert undone.statuses == ["reverted"]
    assert entries(tuned) == {"random_page_cost": "2.5"}
    assert tuned.sql("show random_page_cost") == [("2.5",)]


def test_an_entry_that_was_written_and_never_loaded_is_loaded_by_the_next_apply(tuned: Any) -> None:
    """What a kill between ALTER SYSTEM and the reload leaves."""
    tuned.sql("alter system set random_page_cost = 1.5")
    path = tuned.playbook(book({"name": "random_page_cost", "value": 1.5, "scope": "system"}))
    assert tuned.json("verify", path).code == 1
    assert tuned.apply(path).statuses == ["applied"]
    assert tuned.sql("show random_page_cost") == [("1.5",)]
    assert tuned.apply(path).statuses == ["unchanged"]
    assert tuned.rollback("last").statuses == ["reverted"]
    assert entries(tuned) == {"random_page_cost": "1.5"}


def test_what_waits_for_a_restart_is_applied_and_not_verified(tuned: Any) -> None:
    path = tuned.playbook(book({"name": "max_connections", "value": 77, "scope": "system"}))
    plan = tuned.json("plan", path)
    assert plan.document["steps"][0]["restart"] is True
    applied = tuned.apply(path)
    assert (applied.code, applied.statuses) == (0, ["applied"])
    verified = tuned.json("verify", path)
    assert verified.code == 1
    assert "restart" in verified.errors
    again = tuned.apply(path)
    assert (again.code, again.statuses) == (0, ["unchanged"]), again
    assert tuned.rollback("last").statuses == ["reverted"]
    assert entries(tuned) == {}


ODD = {
    "log_line_prefix": "%m [%p] %q'%u'@%d \\ ",
    "search_path": '"$user", public, "Odd, name", pg_catalog',
    "application_name": "it's; -- $1 %s",
    "timezone": "Europe/Berlin",
    "datestyle": "ISO, DMY",
    "work_mem": "65536kB",
    "maintenance_work_mem": "0.25GB",
    "statement_timeout": "1.5min",
    "enable_seqscan": "true",
    "client_min_messages": "WARNING",
    "my.own_setting": "a, b",
}


@pytest.mark.parametrize("name", ODD)
def test_a_value_is_laid_down_as_it_was_written_and_found_again(tuned: Any, name: str) -> None:
    scope = "system" if name == "log_line_prefix" else "database"
    path = tuned.playbook(book({"name": name, "value": ODD[name], "scope": scope}))
    applied = tuned.apply(path)
    assert (applied.code, applied.statuses) == (0, ["applied"]), applied.errors or applied.err
    assert tuned.apply(path).statuses == ["unchanged"]
    if name in ("search_path", "statement_timeout", "datestyle"):
        effective = applied.document["steps"][0]["after"]["effective"]
        assert effective == {"statement_timeout": "90000"}.get(name, ODD[name]), "dbtune's own session has another"
    if name in ("log_line_prefix", "application_name", "my.own_setting", "search_path"):
        dsn = tuned.dsn
        assert tuned.sql(f"show {name}", dsn) == [(ODD[name],)]
    assert tuned.rollback("last").statuses == ["reverted"]
    assert entries(tuned) == {}
    assert tuned.sql("select setconfig from pg_db_role_setting") == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"name": "work_mme", "value": "1MB"}, 'did you mean "work_mem"'),
        ({"name": "work_mem", "value": "1kB"}, "lies between"),
        ({"name": "work_mem", "value": "64XB"}, "is a number"),
        ({"name": "log_statement", "value": "modd", "scope": "system"}, 'did you mean "mod"'),
        ({"name": "enable_seqscan", "value": "maybe"}, "on or off"),
        ({"name": "max_connections", "value": 50}, "use scope: system"),
        ({"name": "server_version", "value": "1", "scope": "system"}, "fixed"),
        ({"name": "work_mem", "value": "1MB", "scope": "role", "role": "postgre"}, 'did you mean "postgres"'),
    ],
)
def test_a_wrong_value_is_found_by_plan(tuned: Any, setting: dict[str, Any], words: str) -> None:
    path = tuned.playbook(book(setting))
    plan = tuned.json("plan", path)
    assert (plan.code, plan.statuses) == (1, ["conflict"]), plan
    assert words in plan.errors
    assert tuned.apply(path).code == 4
    assert entries(tuned) == {}


def test_a_roles_own_value_is_noted_and_zero_is_warned_of(tuned: Any) -> None:
    tuned.sql("create role keeps login")
    tuned.sql("alter role keeps set work_mem = '7MB'")
    try:
        plan = tuned.json("plan", tuned.playbook(book({"name": "work_mem", "value": "64MB"})))
        assert "role keeps keep their own value, 7MB" in plan.notes
    finally:
        tuned.sql("drop role keeps")
    for settings in (
        {"slow_log": {"min_duration": 0}},
        {"name": "log_min_duration_statement", "value": 0, "scope": "system"},
    ):
        assert "logs every statement" in tuned.json("plan", tuned.playbook(book(settings))).notes


def test_a_server_that_forbids_alter_system_blocks_the_step_with_a_reason(dbtune: Any) -> None:
    with embedded_postgres({"fsync": "off", "allow_alter_system": "off"}) as server:
        path = dbtune.playbook(book({"name": "work_mem", "value": "64MB", "scope": "system"}))
        for arguments in (("plan", path), ("apply", path, "--yes")):
            answer = dbtune.json(*arguments, dsn=server.dsn)
            assert answer.code == 3, answer
            assert "allow_alter_system" in answer.errors


def test_limits_of_the_database_do_not_end_a_run(items: Any) -> None:
    """idle_session_timeout would end the session that holds the lock, transaction_timeout the build."""
    version = items.sql("select current_setting('server_version_num')::int")[0][0]
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
    names += ["idle_session_timeout"] if version >= 140000 else []
    names += ["transaction_timeout"] if version >= 170000 else []
    database = items.sql("select quote_ident(current_database())")[0][0]
    with items.older_transaction() as older:
        older.execute("set idle_in_transaction_session_timeout = 0")
        for name in names:
            items.sql(f"alter database {database} set {name} = '700ms'")
        path = items.playbook("version: 1\nname: x\nsteps:\n  - index: {table: items, columns: [owner]}\n")
        process = items.start("apply", path, "--yes", "--format", "json")
        import time

        time.sleep(3)
        assert process.poll() is None
        older.rollback()
        answer = items.end(process)
    assert (answer.code, answer.statuses) == (0, ["applied"]), answer
