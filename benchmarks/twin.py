"""The twin's truth: plans, costs and sizes against the server that it is a twin of; and how long it takes.

Prints, for the sample (and with `--tpch DSN`, a database that TPC-H's load.sh has filled, for its 22 queries; with
`--on-18` for a copy in a private PostgreSQL 18): without indexes and with them really built, the share of statements
whose plan has the same shape and whose cost is within 1 %; and each index's estimated against its built size. Then
the time to build a twin of 200 tables, with its server's start, and that of a what-if. Exits with 1 where a target is
missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import Source
from dbtune.core.resources import resource
from dbtune.demo.backend import Backend
from dbtune.demo.cache import Cache
from dbtune.demo.database import Database, Document
from dbtune.demo.endpoints import ENDPOINTS, PROBES
from dbtune.demo.load import load as load_sample
from dbtune.demo.population import read_population
from dbtune.playbook.load import load as load_playbook
from dbtune.servers.embedded import twin as twin_module
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.embedded.twin import Twin, open_twin
from dbtune.servers.postgres.dump import read_source
from dbtune.servers.postgres.session import connect
from dbtune.steps.index import Index

QUIET = {"autovacuum": "off", "fsync": "off", "synchronous_commit": "off", "max_wal_size": "4GB"}
TPCH_SETTINGS = QUIET | {
    "effective_cache_size": "8GB",
    "random_page_cost": "1.1",
    "work_mem": "64MB",
    "max_parallel_workers_per_gather": "0",
    "maintenance_work_mem": "1GB",
    "jit": "off",
}
MOST_OF_A_KIND = 5
SAME_COST, SAME_SIZE = 0.01, 0.20
LEAST_TRUE = 0.95
LONGEST_BUILD_S = 1.0


def index(table: str, *columns: str, **rest: Any) -> IndexDefinition:  # noqa: ANN401
    return IndexDefinition("public", table, tuple(IndexKey(column) for column in columns), **rest)


TPCH_INDEXES = [
    index("lineitem", "l_partkey"),
    index("lineitem", "l_shipdate"),
    index("lineitem", "l_orderkey"),
    index("lineitem", "l_suppkey", "l_orderkey"),
    index("lineitem", "l_partkey", "l_suppkey", "l_shipdate", include=("l_quantity",)),
    index("lineitem", "l_shipmode", "l_receiptdate"),
    index("lineitem", "l_extendedprice"),
    index("lineitem", "l_returnflag", "l_orderkey"),
    index("lineitem", "l_discount", "l_shipdate"),
    index("lineitem", "l_partkey", where="l_returnflag = 'R'"),
    index("lineitem", "l_shipdate", method="brin"),
    index("orders", "o_custkey"),
    index("orders", "o_custkey", "o_orderdate"),
    index("orders", "o_orderdate"),
    index("orders", "o_clerk"),
    index("orders", "o_comment"),
    index("orders", "o_custkey", method="hash"),
    index("customer", "c_mktsegment"),
    index("customer", "c_nationkey"),
    index("customer", "c_phone"),
    index("part", "p_brand", "p_container"),
    index("part", "p_type"),
    index("part", "p_name"),
    index("partsupp", "ps_suppkey"),
    index("partsupp", "ps_partkey", "ps_supplycost"),
    index("supplier", "s_nationkey"),
]


@dataclass
class Verdict:
    """Statements compared, and those that were planned alike; sizes compared, and those that were near."""

    statements: int = 0
    alike: int = 0
    sizes: int = 0
    near: int = 0

    @property
    def fine(self) -> bool:
        return self.alike >= LEAST_TRUE * self.statements


class Recording(Database):
    """Keeps every statement as it was sent, with its values in it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.sent: dict[str, list[str]] = {}
        self._values = psycopg.ClientCursor(connection)

    def _keep(self, statement: str, parameters: Sequence[object]) -> None:
        kept = self.sent.setdefault(statement, [])
        text = self._values.mogrify(statement.encode(), parameters)
        if len(kept) < MOST_OF_A_KIND and text not in kept:
            kept.append(text)

    def rows(self, statement: str, *parameters: object) -> list[Document]:
        self._keep(statement, parameters)
        return super().rows(statement, *parameters)

    def change(self, statement: str, *parameters: object) -> int:
        self._keep(statement, parameters)
        return super().change(statement, *parameters)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tpch", metavar="DSN", help="a database that TPC-H's load.sh has filled")
    parser.add_argument("--queries", type=Path, help="with --tpch: the directory of q01.sql to q22.sql")
    parser.add_argument("--on-18", action="store_true", help="copy it into a private PostgreSQL 18 first")
    parser.add_argument("--scale", type=float, default=0.05, help="of the sample")
    options = parser.parse_args()
    if options.tpch and not options.queries:
        parser.error("--tpch needs --queries")
    fine = judge_sample(options.scale)
    if options.tpch:
        queries = [path.read_text().strip().rstrip(";") for path in sorted(options.queries.glob("q*.sql"))]
        if not queries:
            parser.error(f"there is no q*.sql in {options.queries}")
        with copied(options.tpch) if options.on_18 else contextlib.nullcontext(options.tpch) as dsn:
            fine &= judge("TPC-H", dsn, queries, TPCH_INDEXES)
    fine &= judge_speed()
    return 0 if fine else 1


def judge_sample(scale: float) -> bool:
    with embedded_postgres(QUIET) as server:
        load_sample(server.dsn, scale)
        return judge(f"the sample at scale {scale:g}", server.dsn, sample_statements(server.dsn), sample_indexes())


def sample_statements(dsn: str) -> list[str]:
    """A few requests to each endpoint, in its slow and its fast form; each text with a few of its values."""
    population, rng = read_population(dsn), Random(1)  # noqa: S311
    with psycopg.connect(dsn) as connection:
        database = Recording(connection)
        for endpoint in (*ENDPOINTS, *PROBES):
            for form in (endpoint.slow, endpoint.fast):
                for _ in range(3):
                    form(Backend(database, Cache(None)), endpoint.request_for(population, rng))
        connection.rollback()
    with psycopg.connect(dsn, autocommit=True) as connection:
        # What was rolled back has left dead rows.
        connection.execute("vacuum (full, analyze)")
    return [text for texts in database.sent.values() for text in texts]


def sample_indexes() -> list[IndexDefinition]:
    """Those of the playbooks that come with dbtune."""
    found = []
    for path in sorted(resource("playbooks").glob("*.yml")):
        for one in load_playbook(path).steps if path.stem not in ("product-catalog", "load-recommendations") else ():
            if isinstance(step := one.step, Index):
                keys = tuple(
                    IndexKey(
                        None if key.is_expression else key.text, key.text if key.is_expression else None,
                        key.descending, key.nulls_first, key.opclass, key.collation,
                    )
                    for key in step.keys()  # noqa: SIM118
                )  # fmt: skip
                found.append(
                    IndexDefinition("public", step.table, keys, step.method, step.include, step.where, step.unique)
                )
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def copied(dsn: str) -> Iterator[str]:
    with embedded_postgres(TPCH_SETTINGS) as server:
        with subprocess.Popen(
            [server.bin_dir / "pg_dump", "--no-owner", "--no-comments", "-d", dsn], stdout=subprocess.PIPE
        ) as source:
            subprocess.run([server.bin_dir / "psql", "-qX", "-d", server.dsn], stdin=source.stdout, check=True)
        with psycopg.connect(server.dsn, autocommit=True) as session:
            session.execute("vacuum (analyze, freeze)")
        yield server.dsn


def judge(what: str, dsn: str, texts: Sequence[str], indexes: Sequence[IndexDefinition]) -> bool:
    with connect(dsn) as session:
        source = read_source(session, statements=False)
    verdict = Verdict()
    print(f"\n{what}: PostgreSQL {source.version // 10000}, {len(texts)} statements, {len(indexes)} indexes")
    with open_twin(source) as twin, psycopg.connect(dsn, autocommit=True) as real:
        print(f"  the twin: PostgreSQL {twin.planner_version}")
        compare_plans("without indexes", twin, real, texts, active=(), verdict=verdict)
        candidates = twin.add(indexes)
        with real.transaction(force_rollback=True):
            names = [f"dbtune_built_{number}" for number in range(len(indexes))]
            for candidate, name in zip(candidates, names, strict=True):
                real.execute(candidate.definition.ddl(name=name).encode())
                compare_size(candidate.definition, candidate.size_bytes, size_of(real, name), verdict)
            compare_plans("with them built", twin, real, texts, active=indexes, verdict=verdict)
    print(
        f"  alike: {verdict.alike} of {verdict.statements} plans; {verdict.near} of {verdict.sizes} sizes within 20 %"
    )
    return verdict.fine


def compare_plans(
    title: str,
    twin: Twin,
    real: psycopg.Connection[Any],
    texts: Sequence[str],
    *,
    active: Sequence[IndexDefinition],
    verdict: Verdict,
) -> None:
    alike = 0
    for text in texts:
        ours, theirs = twin.plan(text, active=active).document["Plan"], explained(real, text)
        ratio = ours["Total Cost"] / theirs["Total Cost"] if theirs["Total Cost"] else 1.0
        same = list(shape(ours)) == list(shape(theirs))
        alike += same and abs(ratio - 1) <= SAME_COST
        if not same or abs(ratio - 1) > SAME_COST:
            print(f"    cost × {ratio:.4f}{'' if same else ', another plan'}: {' '.join(text.split())[:90]}")
    print(f"  {title}: {alike} of {len(texts)} with the same plan and the same cost within 1 %")
    verdict.statements += len(texts)
    verdict.alike += alike


def compare_size(definition: IndexDefinition, ours: int | None, theirs: int, verdict: Verdict) -> None:
    ratio = (ours or 0) / theirs
    # Of a handful of pages one more is much.
    near = abs(ratio - 1) <= SAME_SIZE or abs((ours or 0) - theirs) <= 2 * 8192
    verdict.sizes += 1
    verdict.near += near
    print(f"    size × {ratio:.3f} of {theirs:>11,} B  {definition.ddl(name='')[13:]}{'' if near else '  <- off'}")


def explained(real: psycopg.Connection[Any], text: str) -> Mapping[str, Any]:
    row = real.execute(f"explain (format json) {text}".encode()).fetchone()
    document: Any = row[0] if row else None
    plan: Mapping[str, Any] = document[0]["Plan"]
    return plan


def shape(node: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[int, str, str | None]]:
    yield depth, node["Node Type"], node.get("Relation Name")
    for child in node.get("Plans", ()):
        yield from shape(child, depth + 1)


def size_of(real: psycopg.Connection[Any], name: str) -> int:
    row = real.execute("select pg_relation_size(to_regclass(%s))", (name,)).fetchone()
    return int(row[0]) if row else 0


def judge_speed() -> bool:
    with embedded_postgres(QUIET) as server:
        with psycopg.connect(server.dsn, autocommit=True) as session:
            for number in range(200):
                session.execute(
                    f"create table t{number} (id int primary key, owner int, a text, b text, c numeric, d timestamptz,"
                    f" e boolean, f text, g bigint, h jsonb); insert into t{number} select j, j % 100, 'x' || j % 50,"
                    " md5(j::text), j / 3.0, now() - j * interval '1 h', j % 2 = 0, 'z', j * 7, '{}'"
                    f" from generate_series(1, 300) j; create index on t{number} (owner)".encode()
                )
            session.execute("vacuum analyze")
        with connect(server.dsn) as session:
            source = read_source(session, statements=False)
    started, loaded, switched = zip(*(timed(source) for _ in range(5)), strict=True)
    # The least: others who use the machine only add to it.
    load_s, whole_s, what_if_s = min(loaded), min(started), min(switched)
    print(f"\n200 tables, 400 indexes: twin loaded in {load_s:.2f} s; with the start of its server {whole_s:.2f} s")
    print(f"a what-if (switch and EXPLAIN): {what_if_s * 1000:.2f} ms")
    return whole_s < LONGEST_BUILD_S


def timed(source: Source) -> tuple[float, float, float]:
    """Seconds for the whole, for the loading alone, and for one what-if."""
    took: list[float] = []
    load = twin_module.load

    def watched(*arguments: Any) -> Any:  # noqa: ANN401
        clock = time.perf_counter()
        try:
            return load(*arguments)
        finally:
            took.append(time.perf_counter() - clock)

    twin_module.load = watched
    clock = time.perf_counter()
    try:
        with open_twin(source) as twin:
            whole_s = time.perf_counter() - clock
            wanted = index("t7", "g")
            twin.add([wanted])
            clock = time.perf_counter()
            for number in range(200):
                twin.costs(["select * from t7 where g = 42"], active=[wanted] if number % 2 else [])
            return whole_s, took[0], (time.perf_counter() - clock) / 200
    finally:
        twin_module.load = load


if __name__ == "__main__":
    code = main()
    print(json.dumps({"targets_met": code == 0}))
    sys.exit(code)
