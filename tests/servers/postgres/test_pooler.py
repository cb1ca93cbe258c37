from __future__ import annotations

import psycopg
import pytest
from pooler import pooler

from dbtune.core.errors import Unsupported
from dbtune.servers.postgres.pooler import is_shared
from dbtune.servers.postgres.session import connect


def test_a_pool_that_lends_its_sessions_is_refused_before_a_setting_of_ours_reaches_the_application(
    database: str,
) -> None:
    with pooler(database) as pool:
        with pytest.raises(Unsupported, match="lends one session to several clients") as caught:
            connect(pool)
        assert "session mode" in str(caught.value.hint)
        with psycopg.connect(pool, autocommit=True, prepare_threshold=None) as application:
            application.execute("create table written (id int)")
            assert application.execute("show lock_timeout").fetchone() == ("0",)


def test_a_pool_that_gives_each_client_a_session_of_its_own_serves(database: str) -> None:
    with pooler(database, lends=False) as pool, connect(pool) as session:
        assert session.execute("show default_transaction_read_only").fetchone() == ("on",)


@pytest.mark.parametrize(
    ("pids", "shared"),
    [
        ((1, 2, 2, 1, 1, 2), False),
        ((1, None, None, 1, 1, None), False),
        ((1, 1, 1, 1, 1, 1), True),
        ((1, 2, 1, 2, 1, 2), True),
        ((1, 2, 3, 1, 2, 3), True),
        ((1, 2, 2, 1, 3, 2), True),
    ],
)
def test_who_answers_in_turn_tells_whether_a_session_is_shared(pids: tuple[int | None, ...], *, shared: bool) -> None:
    assert is_shared(pids) is shared
