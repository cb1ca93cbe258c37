from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtune.demo.shape import Sizes, id_of_rank, rank_at, sql_id_of_rank, sql_pick, sql_rank, sql_share


@given(st.integers(1, 5000))
def test_every_rank_has_an_id_of_its_own(count: int) -> None:
    assert {id_of_rank(rank, count) for rank in range(count)} == set(range(1, count + 1))


@given(
    st.floats(0, 1, exclude_max=True, allow_nan=False),
    st.integers(1, 1_000_000),
    st.floats(0.5, 100, allow_nan=False),
)
def test_a_rank_is_never_out_of_range(share: float, count: int, shift: float) -> None:
    assert 0 <= rank_at(share, count, shift) < count


def test_the_top_hundredth_gets_most_of_a_steep_distribution() -> None:
    ranks = [rank_at(step / 10_000, 200_000, 1.0) for step in range(10_000)]
    assert 0.60 < sum(rank < 2_000 for rank in ranks) / len(ranks) < 0.65


def test_the_server_and_the_client_agree_on_ranks_and_ids(postgres_dsn: str) -> None:
    share, rank = sql_share("i", 7), sql_rank("i", 7, 20_000, 20.0)
    with psycopg.connect(postgres_dsn) as connection:
        rows = connection.execute(
            f"select {share}, {rank}, {sql_id_of_rank(rank, 20_000)} from generate_series(1, 2000) i"
        ).fetchall()
    for share_of_row, rank_of_row, id_of_row in rows:
        assert 0 <= share_of_row < 1
        assert abs(rank_of_row - rank_at(share_of_row, 20_000, 20.0)) <= 1, "but for the last bit of exp()"
        assert id_of_row == id_of_rank(rank_of_row, 20_000)


def test_shares_are_even_and_depend_on_the_seed(postgres_dsn: str) -> None:
    one, other = sql_share("i", 1), sql_share("i", 2)
    query = f"select avg({one}), corr({one}, {other}) from generate_series(1, 20000) i"
    with psycopg.connect(postgres_dsn) as connection:
        mean, correlation = connection.execute(query).fetchone() or (0, 1)
    assert mean == pytest.approx(0.5, abs=0.02)
    assert correlation == pytest.approx(0, abs=0.03)


def test_a_value_that_is_named_more_often_is_picked_more_often(postgres_dsn: str) -> None:
    picked = sql_pick("i", 3, "often", "often", "often", "rarely")
    with psycopg.connect(postgres_dsn) as connection:
        row = connection.execute(f"select avg(({picked} = 'often')::int) from generate_series(1, 10000) i").fetchone()
    assert row is not None
    assert float(row[0]) == pytest.approx(0.75, abs=0.03)


def test_the_default_scale_is_a_grown_system_and_a_small_one_still_has_everything() -> None:
    assert Sizes().contents >= 200_000
    assert Sizes().interactions >= 2_000_000
    tiny = Sizes(0.0001)
    assert tiny.contents > tiny.courses * 61, "every course keeps its sixty lessons"
    assert tiny.users >= tiny.enrolments
