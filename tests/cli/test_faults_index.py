"""`index` steps with every option, with hostile names, and with what stands in their way."""

from __future__ import annotations

import json
from typing import Any

import pytest

LONG = "x" * 63


def book(*indexes: dict[str, Any]) -> str:
    return json.dumps(
        {"version": 1, "name": "faults", "steps": [{"index": index} for index in indexes]}, ensure_ascii=False
    )


def converges(commands: Any, *indexes: dict[str, Any]) -> None:
    """Planned, built, verified, found again, and gone after the rollback."""
    before = commands.sql("select indexrelid::regclass::text from pg_index order by 1")
    path = commands.playbook(book(*indexes))
    applied = commands.apply(path)
    assert (applied.code, set(applied.statuses)) == (0, {"applied"}), applied.errors or applied.err
    again = commands.apply(path)
    assert (again.code, set(again.statuses)) == (0, {"unchanged"}), again
    assert commands.json("verify", path).code == 0
    undone = commands.rollback(applied.document["run_id"])
    assert (undone.code, set(undone.statuses)) == (0, {"reverted"}), undone
    commands.sql("drop schema dbtune cascade")
    assert commands.sql("select indexrelid::regclass::text from pg_index order by 1") == before


def test_every_option_is_built_and_found_again(items: Any) -> None:
    items.sql("create extension pg_trgm")
    items.sql('create collation other from "C"')
    items.sql('create table docs (id int, tags text[], span int4range, body text collate "C", plain text, j jsonb)')
    items.sql("create materialized view seen as select owner, count(*) as n from items group by owner")
    options: list[dict[str, Any]] = [
        {"table": "docs", "columns": ["tags"], "method": "gin"},
        {"table": "docs", "columns": ["tags"], "method": "gin", "with": {"fastupdate": False}, "name": "slow_gin"},
        {"table": "docs", "columns": ["span"], "method": "gist"},
        {"table": "docs", "columns": ["plain gin_trgm_ops"], "method": "GIN"},
        {"table": "docs", "columns": ["plain public.gin_trgm_ops"], "method": "gin", "where": "id > 0"},
        {"table": "docs", "columns": ["j"], "method": "gin", "opclass": "jsonb_path_ops"},
        {"table": "items", "columns": ["created_at"], "method": "brin", "with": {"pages_per_range": 16}},
        {"table": "items", "columns": ["note"], "method": "hash"},
        {"table": "items", "columns": ["note desc nulls last", "owner"], "with": {"fillfactor": 70}},
        {"table": "items", "columns": ["owner"], "include": ["note", "created_at"]},
        {"table": "docs", "columns": ['plain collate "other"']},
        {"table": "docs", "columns": ['plain collate "C"', "id"]},
        {"table": "docs", "columns": ['body collate "C"']},
        {"table": "docs", "expressions": ["lower(body)"]},
        {"table": "docs", "expressions": ['lower(body) || plain collate "C"']},
        {"table": "docs", "expressions": ["(j ->> 'a') text_pattern_ops", "((j -> 'b')::int) desc"]},
        {"table": "docs", "columns": ["id"], "where": "plain in ('a', 'b') and (j ->> 'x')::int between 1 and 5"},
        {"table": "docs", "columns": ["id"], "where": "plain is not null -- and so on"},
        {"table": "seen", "columns": ["owner"], "unique": True},
    ]
    converges(items, *options)


def test_columns_that_join_to_one_name_give_indexes_of_two_names(items: Any) -> None:
    items.sql('create table joined (a int, b int, a_b int, b_a int, "a b" int)')
    columns = [["a", "b"], ["a_b"], ["a", "b_a"], ["a_b", "a"], ["a b"]]
    converges(items, *({"table": "joined", "columns": one} for one in columns))
    document = items.json("plan", items.playbook(book({"table": "joined", "columns": ["b", "a_b"]}))).document
    assert "joined_b_a_b_idx" not in str(document)
    document = items.json("plan", items.playbook(book({"table": "joined", "columns": ["a_b"]}))).document
    assert "joined_a_b_idx" in str(document)


@pytest.mark.pg(">= 15")
def test_nulls_may_be_equal_in_a_unique_index(items: Any) -> None:
    items.sql("create table n (a int, b int)")
    items.sql("insert into n values (1, null), (2, null)")
    converges(items, {"table": "n", "columns": ["a", "b"], "unique": True, "nulls": "not distinct"})
    items.sql("insert into n values (2, null)")
    path = items.playbook(book({"table": "n", "columns": ["a", "b"], "unique": True, "nulls": "not distinct"}))
    answer = items.apply(path)
    assert answer.code == 4
    assert "(2,)" in answer.errors


NAMES = (
    'we"ird',
    "Upper Case",
    "dot.ted",
    "select",
    "100%s %(x)s",
    "back\\slash",
    "emoji 💥",
    "semi; drop table items --",
    "it's",
    LONG,
    "日本語" * 7,
    " blank ",
    "trailing desc",
)


def test_any_name_that_postgresql_takes_is_taken(items: Any) -> None:
    # All in one playbook: a command more for each name takes longer than the indexes.
    for name in NAMES:
        quoted = _quoted(name)
        items.sql(f"create schema {quoted}; create table {quoted}.{quoted} ({quoted} text, b int)")
    converges(items, *(index for name in NAMES for index in _indexes_of(name)))
    steps = [step for name in NAMES for step in _questions_of(name)]
    path = items.playbook(json.dumps({"version": 1, "name": " ".join(NAMES), "steps": steps}, ensure_ascii=False))
    answer = items.apply(path)
    assert (answer.code, answer.statuses[1::2]) == (0, ["unchanged"] * len(NAMES)), answer


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _indexes_of(name: str) -> list[dict[str, Any]]:
    quoted = _quoted(name)
    table = f"{quoted}.{quoted}"
    return [
        {"table": table, "columns": [f"{quoted} desc"]},
        {"schema": name, "table": name, "columns": [{"name": name}, "b"], "name": name[:20] + "!"},
        {"schema": name, "table": quoted, "columns": ["b"], "include": [name], "where": f"{quoted} <> ';--%s'"},
        {"table": table, "expressions": [f"lower({quoted})"]},
    ]


def _questions_of(name: str) -> list[dict[str, Any]]:
    quoted = _quoted(name)
    table = f"{quoted}.{quoted}"
    question = f"select * from {table} where {quoted} = $1"
    return [
        {"analyze": {"tables": [table]}},
        {"explain": {"sql": question, "params": [name], "expect": {"max_time": "9s"}}},
    ]


def test_a_database_and_a_role_with_hostile_names(dbtune: Any, postgres_dsn: str) -> None:
    from psycopg import conninfo

    name = "we\"ird; 'd%b 💥"
    quoted = '"' + name.replace('"', '""') + '"'
    dbtune.sql(f"create role {quoted} login")
    dbtune.sql(f"create database {quoted} owner {quoted}")
    try:
        dsn = conninfo.make_conninfo(postgres_dsn, dbname=name, user=name)
        steps = [
            {"setting": {"name": "work_mem", "value": "9MB"}},
            {"setting": {"name": "work_mem", "value": "8MB", "scope": "role", "role": name}},
        ]
        path = dbtune.playbook(json.dumps({"version": 1, "name": name, "steps": steps}, ensure_ascii=False))
        applied = dbtune.json("apply", path, "--yes", dsn=dsn)
        assert (applied.code, applied.statuses) == (0, ["applied", "applied"]), applied
        assert dbtune.json("apply", path, "--yes", dsn=dsn).statuses == ["unchanged", "unchanged"]
        assert dbtune.json("rollback", applied.document["run_id"], "--yes", dsn=dsn).statuses == ["reverted"] * 2
    finally:
        dbtune.sql(f"drop database {quoted} with (force)")
        dbtune.sql(f"drop role {quoted}")


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"table": "items", "columns": ["owner"], "tablespace": "fats"}, 'tablespace "fats" does not exist'),
        ({"table": "items", "columns": ["owner"], "method": "btre"}, '"btre" does not exist'),
        ({"table": "items", "columns": ["note text_patern_ops"]}, "text_patern_ops"),
        ({"table": "items", "columns": ['note collate "nowhere"']}, "nowhere"),
        ({"table": "items", "columns": ["owner"], "name": "x" * 64}, "63 bytes"),
        ({"table": "items", "columns": ["owner"], "name": "taken"}, '"taken" is another relation'),
        ({"table": "items", "columns": ["owner"], "where": "nothing = 1"}, '"nothing" does not exist'),
        ({"table": "items", "columns": ["owner"], "where": "true; drop table items"}, "syntax error"),
        ({"table": "items", "expressions": ["lower(note)); drop table items; --"]}, "syntax error"),
        ({"table": "items", "columns": ["owner"], "where": "true) -- "}, "syntax error"),
        ({"table": "parted", "columns": ["a"]}, "partition"),
        ({"table": "looked", "columns": ["owner"]}, "not a table"),
        ({"table": '""', "columns": ["owner"]}, "does not exist"),
        ({"table": "a.b.c", "columns": ["owner"]}, "does not exist"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_left_behind(items: Any, index: dict[str, Any], words: str) -> None:
    items.sql("create table taken (a int)")
    items.sql("create table parted (a int) partition by range (a)")
    items.sql("create view looked as select * from items")
    before = items.sql("select relname from pg_class where relnamespace = 'public'::regnamespace order by 1")
    path = items.playbook(book(index))
    planned = items.json("plan", path)
    assert planned.code in (1, 2, 3), planned
    assert words in (planned.errors if planned.out else planned.err)
    answer = items.apply(path)
    assert answer.code in (2, 3, 4)
    assert words in (answer.errors if answer.out else answer.err), answer
    assert items.sql("select relname from pg_class where relnamespace = 'public'::regnamespace order by 1") == before


def test_an_expression_that_is_not_immutable_fails_and_leaves_nothing(items: Any) -> None:
    answer = items.apply(items.playbook(book({"table": "items", "columns": ["id"], "where": "created_at > now()"})))
    assert answer.code == 4
    assert "IMMUTABLE" in answer.errors
    assert items.sql("select count(*) from pg_index where indrelid = 'items'::regclass") == [(1,)]


def test_a_unique_build_over_an_expression_that_fails_says_so(items: Any) -> None:
    index = {"table": "items", "expressions": ["(1 / (owner - owner))"], "unique": True}
    answer = items.apply(items.playbook(book(index)))
    assert (answer.code, answer.statuses) == (4, ["failed"])
    assert "division by zero" in answer.errors


def test_the_same_step_twice_is_built_once_and_taken_back_once(items: Any) -> None:
    index = {"table": "items", "columns": ["owner"]}
    path = items.playbook(book(index, index))
    assert items.apply(path).statuses == ["applied", "unchanged"]
    assert items.rollback().statuses == ["reverted"]


def test_an_index_behind_a_constraint_satisfies_and_is_never_dropped(items: Any) -> None:
    items.sql("alter table items add constraint one_note unique (note)")
    path = items.playbook(book({"table": "items", "columns": ["note"], "unique": True}))
    answer = items.apply(path)
    assert answer.statuses == ["unchanged"]
    assert answer.document["steps"][0]["reason"] == "satisfied by one_note"
    plain = items.json("plan", items.playbook(book({"table": "items", "columns": ["note"]})))
    assert "one_note" in plain.notes


@pytest.mark.parametrize(
    ("there", "wanted", "status"),
    [
        ("(lower(note::text))", {"expressions": ["lower(note)"]}, "in_sync"),
        ("((owner + 1))", {"expressions": ["(owner + 1)"]}, "in_sync"),
        ("((owner + 1))", {"expressions": ["(owner + 2)"]}, "change"),
        ("((owner::text))", {"expressions": ["cast(owner as text)"]}, "in_sync"),
        ("((owner::bigint))", {"expressions": ["(owner::numeric)"]}, "change"),
        ("(owner) where note in ('a', 'b')", {"columns": ["owner"], "where": "note = any ('{a,b}')"}, "in_sync"),
        ("(owner) where note in ('a', 'b')", {"columns": ["owner"], "where": "note in ('b', 'a')"}, "change"),
        ("(owner) where note = 'Done'", {"columns": ["owner"], "where": "note = 'done'"}, "change"),
        ("(owner) where (id + 1) * 2 > 4", {"columns": ["owner"], "where": "id + (1 * 2) > 4"}, "change"),
        ('(note collate "C")', {"columns": ["note"]}, "change"),
        ('(note collate "C")', {"columns": ['note collate "C"']}, "in_sync"),
        ("(note text_pattern_ops)", {"columns": ["note"]}, "change"),
        ("(note text_ops)", {"columns": ["note"]}, "in_sync"),
        ("(owner asc nulls last)", {"columns": ["owner"]}, "in_sync"),
        ("(owner desc nulls first)", {"columns": ["owner desc"]}, "in_sync"),
        ("(owner) with (fillfactor = 50)", {"columns": ["owner"]}, "in_sync"),
        ("(owner) with (fillfactor = 50)", {"columns": ["owner"], "with": {"fillfactor": 60}}, "change"),
        ("(app.twist(note))", {"expressions": ["app.twist(note)"]}, "in_sync"),
        ("(app.twist(note))", {"expressions": ["twist(note)"]}, "change"),
    ],
)
def test_two_spellings_of_one_index_are_one_and_two_indexes_are_two(
    items: Any, there: str, wanted: dict[str, Any], status: str
) -> None:
    for schema in ("app", "public"):
        items.sql(f"create schema if not exists {schema}")
        items.sql(
            f"create function {schema}.twist(text) returns text immutable language plpgsql as 'begin return $1; end'"
        )
    items.sql(f"create index there on items {there}")
    assert items.json("plan", items.playbook(book({"table": "items"} | wanted))).statuses == [status]
