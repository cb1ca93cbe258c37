from __future__ import annotations

import pytest

from dbtune.nplusone.shapes import UNKNOWN, Unparsed, shape_of, transaction_end


@pytest.mark.parametrize(
    ("text", "equal"),
    [
        ('SELECT "a"."x" FROM "a" WHERE ("a"."id" = $1 AND NOT "a"."gone") LIMIT $2', {(0, "id")}),
        (
            "SELECT t.id FROM tags t, post_tags WHERE $1::INTEGER = post_tags.post_id AND t.id = post_tags.tag_id",
            {(1, "post_id")},
        ),
        ("SELECT ID FROM Users WHERE Id = $1", {(0, "id")}),
        ("SELECT x FROM a JOIN b ON a.id = b.a_id AND b.kind = $1 WHERE c = $2", {(1, "kind"), (UNKNOWN, "c")}),
        ("SELECT x FROM a WHERE id = $1 OR id = $2", set()),
        ("SELECT x FROM a WHERE d = date $1 AND f($2,$3) AND e = $4", {(0, "d"), (0, "e")}),
    ],
)
def test_the_columns_that_must_equal_a_value_are_told(text: str, equal: set[tuple[int, str]]) -> None:
    shape = shape_of(text)
    assert shape is not None
    assert shape.equal == equal


@pytest.mark.parametrize(
    "text",
    [
        "SELECT x FROM a WHERE id IN ($1 /*, ... */)",
        "SELECT x FROM a WHERE id = ANY($1::int[])",
        "SELECT x FROM a WHERE id IN ($1,$2,$3)",
    ],
)
def test_a_batch_is_no_look_up_of_one(text: str) -> None:
    shape = shape_of(text)
    assert shape is not None
    assert shape.equal == frozenset()
    assert shape.listed == {(0, "id")}


def test_locks_probes_and_single_rows_are_told() -> None:
    queue = shape_of("SELECT id FROM jobs WHERE status = $1 LIMIT $2 FOR UPDATE SKIP LOCKED")
    probe = shape_of('SELECT $1 AS "a" FROM "users" WHERE "users"."email" = $2 LIMIT $3')
    single = shape_of('INSERT INTO "Items" (order_id, qty) VALUES ($1, $2) RETURNING "Items".id')
    assert queue is not None
    assert queue.skips_locked
    assert probe is not None
    assert probe.is_probe
    assert single is not None
    assert single.values == 1
    assert single.tables == ((None, "Items"),)
    assert single.written == {"order_id", "qty"}


@pytest.mark.parametrize(
    "text",
    ["", "BEGIN", "SET x TO y", "\0", "SELECT 1", "((((", "DEALLOCATE ALL", "select $1 " * 9000],
)
def test_what_is_no_statement_about_tables_has_no_shape(text: str) -> None:
    assert shape_of(text) is None


def test_a_derived_table_stands_for_the_one_that_it_reads() -> None:
    shape = shape_of(
        "select c.id, c.title from (select category_id from interests where user_id = $1 limit $2) i"
        " cross join lateral (select id, title from contents where category_id = i.category_id limit $3) c"
    )
    assert shape is not None
    assert shape.tables == ((None, "interests"), (None, "contents"))
    assert shape.outputs == {(1, "id"), (1, "title")}
    assert shape.equal == set()
    assert shape_of("select c.n from (select author_id, count(*) as n from contents group by author_id) c") is None


def test_a_statement_that_the_parser_does_not_know_is_no_news_on_standard_error(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert shape_of("prepare get_names(oid) as select relname from pg_class where oid = $1") is None
    assert (capfd.readouterr().err, caplog.text) == ("", "")


def test_only_commits_end_a_transaction_that_wrote() -> None:
    assert [transaction_end(text) for text in ("COMMIT", "commit;", "END", "ROLLBACK", "select 1")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "text", ["SELECT FROM WHERE (", "select id from posts where id = $1 and (title", "INSERT INTO posts (a) VALUES ("]
)
def test_a_text_that_was_cut_off_is_told_from_what_has_no_shape(text: str) -> None:
    with pytest.raises(Unparsed):
        shape_of(text)
