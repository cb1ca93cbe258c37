"""The two applications of the calibration, on one database that lives as long as the module."""

from __future__ import annotations

import importlib.util
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import conninfo, sql


def _load(name: str) -> Any:
    """A module beside this file, which no package holds."""
    spec = importlib.util.spec_from_file_location(f"nplusone_{name}", Path(__file__).parent / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def calibration() -> Any:
    return _load("calibration")


@pytest.fixture(scope="session")
def shop(postgres_dsn: str, calibration: Any) -> Iterator[str]:
    """The DSN of a filled database."""
    yield from _filled(postgres_dsn, calibration, "shop")


@pytest.fixture(scope="session")
def library(postgres_dsn: str, calibration: Any) -> Iterator[str]:
    yield from _filled(postgres_dsn, calibration, "library")


def _filled(postgres_dsn: str, calibration: Any, application: str) -> Iterator[str]:
    name = f"dbtune_{application}_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
    if "://" in postgres_dsn:
        dsn = urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl()
    else:
        dsn = conninfo.make_conninfo(postgres_dsn, dbname=name)
    calibration.fill(dsn, application)
    yield dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def django_shop(shop: str) -> Iterator[Any]:
    yield from _prepared("shop_django", shop)


@pytest.fixture(scope="session")
def sqlalchemy_shop(shop: str) -> Iterator[Any]:
    yield from _prepared("shop_sqlalchemy", shop)


@pytest.fixture(scope="session")
def sqlalchemy_library(library: str) -> Iterator[Any]:
    yield from _prepared("library_sqlalchemy", library)


def _prepared(name: str, dsn: str) -> Iterator[Any]:
    """The module, its endpoints in `ready`."""
    module = _load(name)
    module.ready = module.prepare(dsn)
    yield module
    module.close()
