"""JIT on small queries: on a real server that was built with LLVM, which the one of the wheel was not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dbtune.app.audit import Wish, audit
from dbtune.app.targets import OpenTargets
from dbtune.checks.check import Audited
from dbtune.checks.jit_small_queries import CHECK, judge
from dbtune.checks.statement_totals import StatementTotal, StatementTotals
from dbtune.core.findings import AuditReport, Finding, Unexamined
from dbtune.core.progress import silent
from dbtune.servers.embedded.postgres import embedded_postgres

SERVER = Audited(180000, "shop", "me", is_superuser=True, is_replica=False, statistics_age_s=None)
SETTINGS = {"fsync": "off", "jit_inline_above_cost": "0", "jit_optimize_above_cost": "0"}
QUERY = "select count(*) from orders where total > %s and number <> %s"


@pytest.fixture(scope="module")
def compiling() -> Iterator[str]:
    """The DSN of a private server of the machine's own PostgreSQL (15 or later) that can compile."""
    suited = [
        place / "bin"
        for place in Path("/usr/lib/postgresql").glob("*")
        if place.name.isdecimal() and int(place.name) >= 15 and (place / "lib/llvmjit.so").exists()
    ]
    if not any((bin_dir / "initdb").exists() for bin_dir in suited):
        pytest.skip("no PostgreSQL of this machine has a JIT compiler")
    with embedded_postgres(SETTINGS, bin_dir=max(suited, key=lambda bin_dir: int(bin_dir.parent.name))) as server:
        with psycopg.connect(server.dsn, autocommit=True) as owner:
            owner.execute("create extension pg_stat_statements")
            owner.execute(
                "create table orders as select n as number, n %% 7 as total from generate_series(1, 100) n", ()
            )
        yield server.dsn


@pytest.fixture(autouse=True)
def _anew(request: pytest.FixtureRequest) -> None:
    if "compiling" in request.fixturenames:
        with psycopg.connect(request.getfixturevalue("compiling"), autocommit=True) as owner:
            owner.execute("select pg_stat_statements_reset()")


def run(dsn: str, jit_above_cost: int) -> AuditReport:
    with psycopg.connect(dsn, autocommit=True) as client:
        client.execute(f"set jit_above_cost = {jit_above_cost}".encode())
        for number in range(20):
            client.execute(QUERY, (number, number))
    return audit(OpenTargets(dsn, None), Wish(only=("jit-small-queries",)), silent)


def test_a_small_query_that_is_compiled_each_time_is_found(compiling: str) -> None:
    (found,) = run(compiling, jit_above_cost=0).findings
    assert "JIT takes" in found.message
    assert found.evidence["calls"] == 20
    assert found.evidence["jit_functions"] > 0
    assert found.evidence["jit_share"] > 0.25
    assert found.fix is not None
    assert "jit_above_cost" in found.fix.sql[0]


def test_a_small_query_that_is_not_compiled_is_not(compiling: str) -> None:
    report = run(compiling, jit_above_cost=100000)
    assert report.findings == ()
    assert report.examined == (CHECK.code,)


def totals(row: StatementTotal, *, counts_jit: bool = True) -> StatementTotals:
    return StatementTotals((row,), 1, 5000, 0, 1.0, 0, 0.0, 0, 4 << 20, 4 << 30, 100, counts_jit)


def statement(*, calls: int, exec_ms: float, jit_ms: float) -> StatementTotal:
    return StatementTotal("1", "select 1", True, calls, calls, exec_ms, exec_ms, 0.0, 0, 10, jit_ms)  # noqa: FBT003


def severities(row: StatementTotal) -> list[str]:
    return [one.severity for one in judge([totals(row)], SERVER) if isinstance(one, Finding)]


def test_a_minute_of_compiling_is_a_warning_and_less_is_information() -> None:
    assert severities(statement(calls=1000, exec_ms=100_000, jit_ms=70_000)) == ["warning"]
    assert severities(statement(calls=10, exec_ms=1_000, jit_ms=700)) == ["info"]


def test_long_statements_and_small_shares_are_left_alone() -> None:
    assert severities(statement(calls=10, exec_ms=50_000, jit_ms=20_000)) == []
    assert severities(statement(calls=1000, exec_ms=100_000, jit_ms=20_000)) == []
    assert severities(statement(calls=1, exec_ms=500, jit_ms=400)) == []


def test_what_an_older_extension_does_not_count_is_said() -> None:
    row = statement(calls=10, exec_ms=1_000, jit_ms=0)
    (unexamined,) = judge([totals(row, counts_jit=False)], SERVER)
    assert isinstance(unexamined, Unexamined)
    assert "1.10" in (unexamined.hint or "")
