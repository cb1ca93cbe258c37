"""One database for all cases, loaded and analyzed once, and its twin."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dbtune.advisor.source import Source
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect

SCHEMA = Path(__file__).parent / "cases" / "shop.sql"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """What is known of the shop; on a server of its own, whose version the cases do not depend on."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _loaded()
    # The workers of one run share the directory above theirs: the first one loads, the others wait for it.
    kept = tmp_path_factory.getbasetemp().parent / "shop.source"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_loaded()))
    source: Source = pickle.loads(kept.read_bytes())  # noqa: S301 - our own, of this run
    return source


@pytest.fixture(scope="session")
def shop_twin(shop: Source) -> Iterator[Twin]:
    with open_twin(shop) as twin:
        yield twin


def _loaded() -> Source:
    with embedded_postgres({"fsync": "off", "random_page_cost": "1.1"}) as server:
        with psycopg.connect(server.dsn, autocommit=True) as owner:
            owner.execute(SCHEMA.read_text(encoding="utf-8").encode())
            # Without what VACUUM knows of the pages no index-only scan is worth it.
            owner.execute("vacuum analyze")
        with contextlib.closing(connect(server.dsn)) as session:
            return read_source(session)
