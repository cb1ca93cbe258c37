"""The sample, loaded once for all tests here: nothing that they do changes what another one sees."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo, sql

from dbtune.demo.load import load

SCALE = 0.02


@pytest.fixture(scope="session")
def sample(postgres_dsn: str) -> Iterator[str]:
    """The DSN of a database with the sample at scale 0.02, as found."""
    name = f"dbtune_sample_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    dsn = conninfo.make_conninfo(postgres_dsn, dbname=name)
    load(dsn, SCALE)
    yield dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
