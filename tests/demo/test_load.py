from __future__ import annotations

import psycopg
import pytest

from dbtune.demo.keys import FOREIGN_KEYS, TABLES
from dbtune.demo.load import load
from dbtune.demo.shape import Sizes

SIZES = Sizes(0.02)
_IN_PUBLIC = "relnamespace = 'public'::regnamespace"


def test_the_tables_have_as_many_rows_as_the_scale_says(sample: str) -> None:
    with psycopg.connect(sample) as connection:
        rows = {table: _number(connection, f"select count(*) from {table}") for table in TABLES}
    assert rows["contents"] == SIZES.contents == 4_000
    assert rows["user_interactions"] == SIZES.interactions == 40_000
    assert rows["content_tracking"] == SIZES.enrolments * 60
    assert rows["payments"] == SIZES.payments
    assert min(rows.values()) > 0


def test_primary_and_foreign_keys_are_all_the_structure_there_is(sample: str) -> None:
    with psycopg.connect(sample) as connection:
        indexes = f"select count(*) from pg_index i join pg_class c on c.oid = i.indrelid where {_IN_PUBLIC}"
        assert _number(connection, f"{indexes} and indisprimary") == len(TABLES)
        assert _number(connection, f"{indexes} and not indisprimary") == 0
        assert _number(connection, "select count(*) from pg_constraint where contype = 'f' and convalidated") == len(
            FOREIGN_KEYS
        )
        unvacuumed = f"select count(*) from pg_class where relkind = 'r' and {_IN_PUBLIC} and reltuples < 0"
        assert _number(connection, unvacuumed) == 0


def test_a_new_row_gets_the_next_id(sample: str) -> None:
    with psycopg.connect(sample) as connection:
        inserted = "insert into tags (name, slug) values ('New', 'new') returning id"
        assert _number(connection, inserted) == _number(connection, "select count(*) from tags")
        connection.rollback()


def test_a_few_users_and_contents_have_most_of_the_rows(sample: str) -> None:
    with psycopg.connect(sample) as connection:
        assert _share_of_top_tenth(connection, "user_id", SIZES.users) > 0.35
        assert _share_of_top_tenth(connection, "content_id", SIZES.contents) > 0.45
        most = _number(connection, "select count(*) from user_interactions group by user_id order by 1 desc limit 1")
    assert most > 5 * SIZES.interactions / SIZES.users


def test_scores_are_the_sums_of_the_interactions(sample: str) -> None:
    wrong = """select count(*) from contents
      left join (select content_id, sum(weight) as score from user_interactions group by content_id) s
        on content_id = id
      where engagement_score <> coalesce(score, 0)"""
    with psycopg.connect(sample) as connection:
        assert _number(connection, wrong) == 0


def test_two_loads_give_the_same_rows(database: str, sample: str) -> None:
    load(database, 0.02, connections=3)
    with psycopg.connect(database) as one, psycopg.connect(sample) as other:
        for table in TABLES:
            assert _digest(one, table) == _digest(other, table), table


def test_progress_comes_to_an_end(database: str) -> None:
    seen: list[tuple[int, int, str]] = []
    loaded = load(database, 0.001, progress=lambda done, total, what: seen.append((done, total, what)))
    done, totals = [call[0] for call in seen], {call[1] for call in seen}
    assert done == sorted(done)
    assert totals == {done[-1]}
    assert any("user_interactions" in call[2] for call in seen)
    assert loaded.rows > Sizes(0.001).interactions
    assert loaded.size_bytes > 1 << 20


def test_an_interrupted_load_leaves_nothing_running(database: str) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt(what)

    with pytest.raises(KeyboardInterrupt):
        load(database, 0.2, progress=interrupt)
    others = """select count(*) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state = 'active'"""
    with psycopg.connect(database) as connection:
        assert _number(connection, others) == 0
        assert _number(connection, "select count(*) from user_interactions") == 0, "it was under way"


def test_a_database_that_has_such_tables_is_left_alone(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table users (name text)")
        with pytest.raises(psycopg.errors.DuplicateTable):
            load(database, 0.001)
        assert _number(connection, "select count(*) from pg_class where relname = 'contents'") == 0


def _number(connection: psycopg.Connection[tuple[int]], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _share_of_top_tenth(connection: psycopg.Connection[tuple[int]], column: str, count: int) -> float:
    top = f"""select sum(n) from (select count(*) as n from user_interactions group by {column}
              order by 1 desc limit {count // 10}) t"""
    return _number(connection, top) / SIZES.interactions


def _digest(connection: psycopg.Connection[tuple[int]], table: str) -> int:
    return _number(connection, f"select sum(hashtextextended({table}::text, 0)) from {table}")
