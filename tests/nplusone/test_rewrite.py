"""What to write instead of the loop: SQL with real names, and the words of the libraries that wrote it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbtune.nplusone.detection import Detection, Kind, Score
from dbtune.nplusone.edges import Edge
from dbtune.nplusone.rewrite import rewrite
from dbtune.nplusone.traffic import Statement

USERS, POSTS = ("public", "users"), ("public", "Posts")
FORWARD = Edge("forward", "Posts.author_id → users.id", POSTS, ("author_id",), USERS, ("id",))
REVERSE = Edge("reverse", "Posts.author_id → users.id", USERS, ("id",), POSTS, ("author_id",))
WALK_DOWN = Edge("reverse", "x", USERS, ("id",), USERS, ("boss_id",), 1.0, ("boss_id",))
LIBRARIES = {"django", "sqlalchemy", "typeorm", "prisma", "rails"}


def detection(kind: Kind, edge: Edge | None, text: str = "SELECT x") -> Detection:
    child = Statement(("1",), "1", text, 10, (100,), (100,), (1.0,))
    score = Score(20, 20, 25, 25, 10)
    return Detection(kind, "likely", score, None, child, edge, 10.0, 1.0, 100.0, 0.5, 0.5, (0.1, 0.2))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (detection("select", FORWARD), ("select_related", "joinedload", "leftJoinAndSelect", "include", "includes")),
        (detection("select", REVERSE), ("prefetch_related", "selectinload", "relations", "include", "includes")),
        (detection("tree", WALK_DOWN), ("recursive", "recursive", "findDescendants", "recursive", "with_recursive")),
        (detection("write", None, "INSERT INTO t"), ("bulk_create", "insert(", "insert(", "createMany", "insert_all")),
        (detection("write", None, "UPDATE t SET"), ("bulk_update", "update(", "update()", "updateMany", "update_all")),
    ],
)
def test_every_library_is_told_in_its_own_words(found: Detection, words: tuple[str, ...]) -> None:
    told = rewrite(found).words
    assert set(told) == LIBRARIES
    for library, word in zip(("django", "sqlalchemy", "typeorm", "prisma", "rails"), words, strict=True):
        assert word in told[library], library


def test_the_sql_quotes_the_names_of_the_catalog() -> None:
    joined, batch = rewrite(detection("select", FORWARD)).sql
    assert 'from "public"."Posts" p left join "public"."users" c on c."id" = p."author_id"' in joined
    assert batch == 'select * from "public"."users" where "id" = any($1);'


def test_keys_of_two_columns_are_asked_for_in_pairs() -> None:
    edge = replace(FORWARD, parent_columns=("branch", "no"), child_columns=("branch_no", "copy_no"))
    assert (
        'where ("branch_no", "copy_no") in (select * from unnest($1, $2));' in rewrite(detection("select", edge)).sql[1]
    )


def test_a_walk_is_one_recursive_query_that_starts_at_one_node() -> None:
    (walk,) = rewrite(detection("tree", WALK_DOWN)).sql
    assert walk.startswith('with recursive walk as (select t.* from "public"."users" t where t."boss_id" = $1')
    assert 'join walk w on t."boss_id" = w."id"' in walk


def test_a_hostile_name_stays_a_name() -> None:
    edge = replace(FORWARD, child_table=("public", 'x"; drop table users; --'))
    assert '"public"."x""; drop table users; --"' in rewrite(detection("select", edge)).sql[1]
