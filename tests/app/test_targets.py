from __future__ import annotations

import psycopg
import pytest
import redis

from dbtune.app.targets import Need, OpenTargets, Targets, open_targets
from dbtune.core.errors import Misused


def test_named_servers_are_passed_on_as_they_are(postgres_dsn: str, redis_url: str) -> None:
    with open_targets(Targets(postgres_dsn, redis_url), redis=Need.REQUIRED) as opened:
        assert opened == OpenTargets(postgres_dsn, redis_url)


def test_embedded_servers_live_as_long_as_the_block() -> None:
    with open_targets(Targets(embedded=True), redis=Need.REQUIRED, settings={"work_mem": "7MB"}) as opened:
        assert opened.postgres is not None
        assert opened.redis is not None
        with psycopg.connect(opened.postgres) as connection:
            assert connection.execute("show work_mem").fetchone() == ("7MB",)
        with redis.Redis.from_url(opened.redis) as client:
            assert client.ping()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(opened.postgres)


def test_a_server_on_the_command_line_wins_over_embedded(postgres_dsn: str) -> None:
    with open_targets(Targets(postgres_dsn, embedded=True)) as opened:
        assert opened == OpenTargets(postgres_dsn, None)


def test_embedded_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://production.example/0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://production.example/")
    with open_targets(Targets(embedded=True), postgres=Need.NONE, redis=Need.REQUIRED) as opened:
        assert opened.postgres is None
        assert opened.redis is not None
        assert "production" not in opened.redis
    with open_targets(Targets(embedded=True), postgres=Need.IF_NAMED, redis=Need.IF_NAMED) as opened:
        assert opened == OpenTargets(None, None)


def test_a_required_server_that_nobody_named_is_misuse() -> None:
    with pytest.raises(Misused, match="no PostgreSQL"), open_targets(Targets()):
        pass
    with pytest.raises(Misused, match="no Redis"), open_targets(Targets(), postgres=Need.NONE, redis=Need.REQUIRED):
        pass


def test_an_optional_server_comes_from_the_environment_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_targets(Targets(), postgres=Need.IF_NAMED, redis=Need.IF_NAMED) as opened:
        assert opened == OpenTargets(None, None)
    monkeypatch.setenv("REDIS_URL", "redis://cache.example/0")
    with open_targets(Targets(), postgres=Need.NONE, redis=Need.IF_NAMED) as opened:
        assert opened == OpenTargets(None, "redis://cache.example/0")
