"""The sample, loaded once for all tests here: nothing that they do to it changes what another one sees."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import conninfo, sql

from dbtune.demo.load import load

SCALE = 0.02


@pytest.fixture(scope="session")
def sample(postgres_dsn: str) -> Iterator[str]:
    """The DSN of a database with the sample at scale 0.02, as found. Close every connection to it."""
    with _database(postgres_dsn, "template0") as dsn:
        load(dsn, SCALE)
        yield dsn


@pytest.fixture
def sample_copy(postgres_dsn: str, sample: str) -> Iterator[str]:
    """The DSN of a copy that a test may change as it likes."""
    with _database(postgres_dsn, str(conninfo.conninfo_to_dict(sample)["dbname"])) as dsn:
        yield dsn


@contextmanager
def _database(postgres_dsn: str, template: str) -> Iterator[str]:
    name = f"dbtune_sample_{secrets.token_hex(6)}"
    create, drop = (sql.SQL("create database {} template {}"), sql.SQL("drop database if exists {} with (force)"))
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    yield conninfo.make_conninfo(postgres_dsn, dbname=name)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(drop.format(sql.Identifier(name)))
