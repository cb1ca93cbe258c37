"""What the tests of warming and invalidating work with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from topologies import Cluster

from dbtune.servers.postgres import session as postgres
from dbtune.servers.redis import session


@pytest.fixture
def connection(postgres_dsn: str) -> Iterator[postgres.Connection]:
    with postgres.connect(postgres_dsn) as connection:
        yield connection


@pytest.fixture
def whole(redis_cluster: Cluster) -> Iterator[redis.Redis]:
    """The client of the whole cluster."""
    client = session.connect_whole(redis_cluster.url)
    yield client
    client.close()
