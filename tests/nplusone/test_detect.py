"""Judgement over counts that are written down: what must be found, and what each doubt does to the level."""

from __future__ import annotations

import pytest

from dbtune.nplusone.detect import detect
from dbtune.nplusone.rewrite import rewrite
from dbtune.nplusone.traffic import KeyRow, Statement, Traffic


def primary(table: str, column: str) -> KeyRow:
    return KeyRow("unique", "public", table, [column], True, None, None, None, None)  # noqa: FBT003 - as in the catalog


def foreign(table: str, column: str, other: str) -> KeyRow:
    return KeyRow("foreign", "public", table, [column], False, "public", other, ["id"], 0.0)  # noqa: FBT003


KEYS = (
    primary("users", "id"),
    primary("posts", "id"),
    primary("sessions", "key"),
    foreign("posts", "author_id", "users"),
    foreign("sessions", "user_id", "users"),
)
LIST = "SELECT id, author_id, title FROM posts ORDER BY id LIMIT $1"
USER = "SELECT id, name FROM users WHERE id = $1"
SESSION = "SELECT key, user_id FROM sessions WHERE key = $1"
CALLS = (5, 11, 3, 9, 14, 6)
ROWS = (101, 230, 44, 163, 301, 117)


def statement(text: str, calls: tuple[int, ...], rows: tuple[int, ...] | None = None) -> Statement:
    return Statement((str(abs(hash(text))),), text, text, 10, calls, rows or calls, tuple(0.05 * one for one in calls))


def traffic(*statements: Statement, keys: tuple[KeyRow, ...] = KEYS, commits: int = 0) -> Traffic:
    windows = len(statements[0].calls)
    return Traffic(statements, keys, 60.0, windows == 1, commits, 0.001)


def test_look_ups_that_equal_a_lists_rows_window_by_window_are_likely() -> None:
    (found,) = detect(traffic(statement(LIST, CALLS, ROWS), statement(USER, ROWS))).detections
    assert (found.kind, found.level) == ("select", "likely")
    assert found.parent is not None
    assert found.parent.text == LIST
    assert found.edge is not None
    assert found.edge.text == "public.posts.author_id → public.users.id"
    assert found.calls_per_parent == pytest.approx(sum(ROWS) / sum(CALLS))
    low, high = found.saved_s
    assert 0 < low < high
    assert 'where "id" = any($1)' in " ".join(rewrite(found).sql)


def test_a_session_look_up_that_only_follows_the_load_is_not_found() -> None:
    requests = (150, 170, 160, 155, 145, 175)
    noise = statement(SESSION, requests), statement(USER, requests)
    assert detect(traffic(statement(LIST, CALLS, ROWS), *noise)).detections == ()


def test_a_child_shared_with_sessions_is_found_beside_them() -> None:
    requests = (150, 70, 260, 55, 145, 175)
    shared = tuple(row + one for row, one in zip(ROWS, requests, strict=True))
    (found,) = detect(
        traffic(statement(LIST, CALLS, ROWS), statement(SESSION, requests), statement(USER, shared))
    ).detections
    assert found.calls == pytest.approx(sum(ROWS))


def test_a_bad_page_is_found_beside_its_fixed_twin_with_the_same_list() -> None:
    batch = statement(
        "SELECT id, name FROM users WHERE id IN ($1 /*, ... */)", (9, 2, 12, 4, 1, 7), (180, 40, 240, 80, 20, 140)
    )
    calls = tuple(one + two for one, two in zip(CALLS, batch.calls, strict=True))
    rows = tuple(20 * one for one in calls)
    alone = tuple(20 * one for one in CALLS)
    (found,) = detect(traffic(statement(LIST, calls, rows), batch, statement(USER, alone))).detections
    assert found.calls_per_parent == pytest.approx(20)


PLAIN = (180, 150, 330, 90, 260, 120, 300, 210, 140, 240, 80, 310)
LOOPED = (40, 130, 20, 160, 90, 10, 140, 60, 0, 150, 30, 100)


def test_look_ups_that_come_a_page_at_a_time_are_suspected_though_most_readers_of_the_list_are_innocent() -> None:
    rows = tuple(one + other for one, other in zip(PLAIN, LOOPED, strict=True))
    calls = tuple(row // 20 + 1 for row in rows)
    (found,) = detect(traffic(statement(LIST, calls, rows), statement(USER, LOOPED))).detections
    assert found.level == "suspected"
    assert any("which list they follow is a guess" in reason for reason in found.reasons)


def test_single_look_ups_whose_rate_drifts_are_no_bursts() -> None:
    drifting = (20, 24, 31, 40, 52, 60, 71, 80, 74, 63, 50, 41)
    rows = tuple(one + other for one, other in zip(PLAIN, LOOPED, strict=True))
    calls = tuple(row // 20 + 1 for row in rows)
    assert detect(traffic(statement(LIST, calls, rows), statement(USER, drifting))).detections == ()


def test_the_fixed_twin_alone_is_not_found() -> None:
    batch = statement("SELECT id, name FROM users WHERE id IN ($1 /*, ... */)", CALLS, ROWS)
    joined = statement("SELECT p.id, u.name FROM posts p JOIN users u ON u.id = p.author_id", CALLS, ROWS)
    assert (
        detect(
            traffic(statement(LIST, CALLS, ROWS), batch, joined, statement(USER, (30, 41, 28, 29, 33, 30)))
        ).detections
        == ()
    )


def test_a_page_of_fixed_size_is_at_most_suspected() -> None:
    rows = tuple(20 * one for one in CALLS)
    (found,) = detect(traffic(statement(LIST, CALLS, rows), statement(USER, rows))).detections
    assert found.level == "suspected"


def test_a_single_snapshot_is_at_most_suspected_and_says_so() -> None:
    (found,) = detect(traffic(statement(LIST, (50,), (1000,)), statement(USER, (1000,)))).detections
    assert found.level == "suspected"
    assert "snapshot" in found.reasons[0]
    assert found.score.covariation is None


def test_load_like_clockwork_leaves_the_ratio_which_must_be_exact() -> None:
    parent = statement(LIST, (10,) * 6, (200,) * 6)
    (found,) = detect(traffic(parent, statement(USER, (200,) * 6))).detections
    assert found.level == "suspected"
    assert detect(traffic(parent, statement(USER, (180,) * 6))).detections == ()


@pytest.mark.parametrize(
    "text",
    [
        f"{USER} FOR UPDATE",
        f"{USER} FOR KEY SHARE",
        "SELECT name FROM users WHERE id IN ($1)",
        "SELECT name FROM users WHERE name = $1",
    ],
)
def test_locks_batches_and_look_ups_without_a_key_are_left_out(text: str) -> None:
    assert detect(traffic(statement(LIST, CALLS, ROWS), statement(text, ROWS))).detections == ()


def test_writes_one_by_one_after_a_list_are_found() -> None:
    (found,) = detect(
        traffic(statement(LIST, CALLS, ROWS), statement("UPDATE posts SET title = $1 WHERE id = $2", ROWS))
    ).detections
    assert found.kind == "write"
    assert found.parent is not None


def test_many_single_row_writes_per_commit_are_suspected_and_none_under_autocommit() -> None:
    write = statement("INSERT INTO posts (title) VALUES ($1)", (300,) * 6)
    ends = statement("COMMIT", (10,) * 6, (0,) * 6)
    (found,) = detect(traffic(write, ends, commits=60)).detections
    assert (found.kind, found.parent, found.calls_per_parent) == ("write", None, 30)
    assert detect(traffic(write, ends, commits=1860)).detections == ()
    assert detect(traffic(write, commits=1800)).detections == ()


def test_items_put_in_one_by_one_after_their_order_are_found_with_it_as_parent() -> None:
    keys = (primary("orders", "id"), primary("items", "id"), foreign("items", "order_id", "orders"))
    order = statement("INSERT INTO orders (note) VALUES ($1) RETURNING id", CALLS)
    item = statement("INSERT INTO items (order_id) VALUES ($1)", (54, 125, 31, 96, 160, 63))
    (found,) = detect(traffic(order, item, keys=keys)).detections
    assert (found.kind, found.parent and found.parent.text) == ("write", order.text)
    assert found.calls_per_parent == pytest.approx(11, abs=0.1)


def test_a_walk_up_a_tree_is_told_from_single_references_to_it() -> None:
    tree = (primary("nodes", "id"), foreign("nodes", "parent_id", "nodes"))
    keys = (*tree, primary("goods", "id"), foreign("goods", "node_id", "nodes"))
    product = statement("SELECT id, node_id FROM goods WHERE id = $1", LOOPED)
    once = statement("SELECT id, parent_id FROM nodes WHERE id = $1", LOOPED)
    depth = (3, 4, 4, 3, 4, 5, 4, 3, 4, 4, 5, 4)
    walk = statement(once.text, tuple(one * levels for one, levels in zip(LOOPED, depth, strict=True)))
    assert detect(traffic(product, once, keys=keys)).detections == ()
    (found,) = detect(traffic(product, walk, keys=keys)).detections
    assert (found.kind, found.level) == ("tree", "suspected")
    assert "with recursive" in rewrite(found).sql[0]
    assert 'w."parent_id" = t."id"' in rewrite(found).sql[0]


def test_a_queue_worked_off_row_by_row_is_left_out() -> None:
    take = statement("SELECT id FROM posts WHERE title = $1 LIMIT $2 FOR UPDATE SKIP LOCKED", ROWS)
    done = statement("UPDATE posts SET title = $1 WHERE id = $2", ROWS)
    ends = statement("COMMIT", CALLS)
    assert detect(traffic(take, done, ends, commits=sum(CALLS))).detections == ()


def test_a_walk_down_a_tree_is_a_finding_of_its_own() -> None:
    keys = (
        primary("nodes", "id"),
        foreign("nodes", "parent_id", "nodes"),
    )
    rows = tuple(row - calls for row, calls in zip(ROWS, CALLS, strict=True))
    walk = statement("SELECT id, parent_id FROM nodes WHERE parent_id = $1", ROWS, rows)
    (found,) = detect(traffic(walk, keys=keys)).detections
    assert found.kind == "tree"
    assert "with recursive" in rewrite(found).sql[0]
