"""Transaction ids and multixacts near their end, on real servers that were moved there by pg_resetwal."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import until_accepted

from dbtune.app.audit import Wish, audit
from dbtune.app.targets import OpenTargets
from dbtune.core.findings import Finding
from dbtune.core.progress import silent
from dbtune.servers.embedded.postgres import EmbeddedPostgres, embedded_postgres

SEGMENT = 1 << 20
"""Ids in one file of pg_xact: at the first one of a file nothing has to be there yet."""
WORN, NEARLY_USED_UP = 1622 * SEGMENT, 2010 * SEGMENT
OPTIONS = {
    "listen_addresses": "",
    # Otherwise it would freeze everything before anybody looks.
    "autovacuum_naptime": "2147483",
    "autovacuum_freeze_max_age": "2000000000",
    "autovacuum_multixact_freeze_max_age": "2000000000",
}


@pytest.fixture(scope="module")
def young(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    at_hand = request.getfixturevalue("postgres_server")
    if at_hand.bin_dir is None or not (at_hand.bin_dir / "pg_resetwal").exists():
        pytest.skip("this PostgreSQL has no pg_resetwal")
    with embedded_postgres({"fsync": "off"}, bin_dir=at_hand.bin_dir) as server:
        yield server


@contextmanager
def moved(young: EmbeddedPostgres, name: str, port: int, options: Sequence[str]) -> Iterator[str]:
    """The DSN of another cluster beside `young`, after pg_resetwal with these options."""
    owner = (young.directory / "data").stat()
    files = young.directory / name

    def start(program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [young.bin_dir / program, *arguments],
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[] if os.getuid() == 0 else None,
            cwd=young.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    made = start("initdb", "-D", files, "-U", "postgres", "--no-sync", "-A", "trust")
    assert made.wait(120) == 0
    assert start("pg_resetwal", *options, "-D", files).wait(60) == 0
    directories = {"port": str(port), "unix_socket_directories": str(young.directory)}
    given = [f"--{name}={value}" for name, value in (OPTIONS | directories).items()]
    server = start("postgres", "-D", files, *given)
    try:
        dsn = f"host={young.directory} port={port} user=postgres dbname=postgres"
        until_accepted(dsn)
        yield dsn
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(60)


def of_this_database(dsn: str, check: str) -> Finding:
    found = audit(OpenTargets(dsn, None), Wish(only=(check,)), silent).findings
    (whole,) = [one for one in found if one.object == "database postgres"]
    return whole


@pytest.mark.slow
@pytest.mark.parametrize(("next_id", "severity", "port"), [(WORN, "warning", 6601), (NEARLY_USED_UP, "critical", 6602)])
def test_transaction_ids_that_run_out_are_told_by_how_many_are_left(
    young: EmbeddedPostgres, next_id: int, severity: str, port: int
) -> None:
    with moved(young, f"xid{port}", port, ["-x", str(next_id)]) as dsn:
        found = of_this_database(dsn, "transaction-wraparound")
    assert found.severity == severity
    assert abs(found.evidence["age"] - next_id) < 1000
    assert found.fix is not None
    assert found.fix.sql == ("vacuum (freeze, verbose);",)


@pytest.mark.slow
@pytest.mark.parametrize(("next_id", "severity", "port"), [(WORN, "warning", 6611), (NEARLY_USED_UP, "critical", 6612)])
def test_multixacts_that_run_out_are_told_by_how_many_are_left(
    young: EmbeddedPostgres, next_id: int, severity: str, port: int
) -> None:
    with moved(young, f"multi{port}", port, ["-m", f"{next_id},1"]) as dsn:
        found = of_this_database(dsn, "multixact-wraparound")
    assert found.severity == severity
    assert abs(found.evidence["age"] - next_id) < 1000
