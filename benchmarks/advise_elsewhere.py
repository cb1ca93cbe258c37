"""Advice on workloads that it was not measured on: what is promised, and what the statements then really take.

    python benchmarks/advise_elsewhere.py [--measure]

Two databases on a private PostgreSQL: a shipping company with skewed and correlated columns, asked by a mix of look-ups
and reports, and dbtune's own sample, asked by its pages. For each: seconds of all calls without the advised indexes and
with them, statement by statement (of the sample: page by page), the median of three.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from random import Random

import psycopg

from dbtune.advisor.advice import Advice
from dbtune.app.advise import Given, Wish, advise
from dbtune.app.targets import OpenTargets
from dbtune.demo.backend import Backend
from dbtune.demo.cache import Cache
from dbtune.demo.database import Database
from dbtune.demo.endpoints import ENDPOINTS
from dbtune.demo.load import load as load_sample
from dbtune.demo.population import read_population
from dbtune.servers.embedded.postgres import embedded_postgres

SETTINGS = {
    "shared_buffers": "1GB", "effective_cache_size": "4GB", "random_page_cost": "1.1", "work_mem": "32MB", "jit": "off",
    "max_parallel_workers_per_gather": "0", "fsync": "off", "shared_preload_libraries": "pg_stat_statements",
}  # fmt: skip
SCALE = 0.2
REQUESTS = 5
SCHEMA = """
create table ports (id int primary key, country text not null, name text not null);
insert into ports select n, 'C' || n % 60, 'Port ' || md5(n::text) from generate_series(1, 3000) n;
create table clients (id int primary key, sector text not null, name text not null, since date not null);
insert into clients select n, (array['food','steel','cars','toys','other'])[1 + (n % 25) / 6],
  'Client ' || md5(n::text), date '2010-01-01' + n % 4000 from generate_series(1, 50000) n;
create table shipments (id int primary key, client_id int not null, origin int not null, target int not null,
  state text not null, weight numeric(10, 2) not null, booked_at timestamptz not null, arrived_at timestamptz,
  remark text not null);
insert into shipments select n, 1 + (power(random(), 3) * 49999)::int, 1 + (power(random(), 2) * 2999)::int,
  1 + n % 3000, case when n > 780000 then 'open' when n % 500 = 0 then 'lost' else 'done' end, random() * 20000,
  timestamptz '2021-01-01' + n * interval '2 minutes',
  case when n <= 780000 then timestamptz '2021-01-15' + n * interval '2 minutes' end, repeat(md5(n::text), 3)
  from generate_series(1, 800000) n;
create table legs (id int primary key, shipment_id int not null, place int not null, port_id int not null,
  vessel text not null, started_at timestamptz not null, cost numeric(10, 2) not null);
insert into legs select n, 1 + n / 3, n % 3, 1 + (power(random(), 2) * 2999)::int, 'V' || n % 700,
  timestamptz '2021-01-01' + n * interval '40 seconds', random() * 900 from generate_series(1, 2399990) n;
vacuum analyze
"""
STATEMENTS = {
    "select id, state, booked_at from shipments where client_id = 17 order by booked_at desc limit 20": 200,
    "select count(*) from shipments where state = 'open' and client_id = 3": 50,
    "select s.id, l.vessel, l.cost from shipments s join legs l on l.shipment_id = s.id where s.id = 4711": 300,
    "select sum(cost) from legs where vessel = 'V42' and started_at >= '2023-06-01'": 30,
    "select p.country, count(*), sum(s.weight) from shipments s join ports p on p.id = s.target"
    " where s.booked_at >= '2022-03-01' and s.booked_at < '2022-06-01' group by p.country": 3,
    "select c.sector, avg(l.cost) from clients c join shipments s on s.client_id = c.id join legs l"
    " on l.shipment_id = s.id where s.state = 'lost' group by c.sector": 3,
    "select c.id, c.name, count(*) from clients c join shipments s on s.client_id = c.id where c.sector = 'toys'"
    " group by c.id, c.name order by count(*) desc limit 10": 2,
    "select state, count(*) from shipments group by state": 2,
    "select s.id from shipments s where s.state = 'open' and s.booked_at < '2024-01-01' and not exists"
    " (select from legs l where l.shipment_id = s.id and l.place = 2) order by s.booked_at limit 50": 10,
    "select p.name, sum(l.cost) from legs l join ports p on p.id = l.port_id where p.country = 'C7'"
    " and l.started_at between '2022-01-01' and '2022-02-01' group by p.name": 5,
    "select id from shipments where state = 'done' and arrived_at is null order by id limit 10": 5,
    "select date_trunc('month', booked_at) as month, sum(weight) from shipments where origin = 9"
    " group by 1 order by 1": 10,
    "select avg(weight) from shipments where weight > 19990": 10,
    "select s.origin, count(distinct l.vessel) from shipments s join legs l on l.shipment_id = s.id"
    " where s.client_id between 40000 and 40400 group by s.origin": 3,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    measure = parser.parse_args().measure
    ratios = []
    with embedded_postgres(SETTINGS) as server:
        dsn = server.dsn
        for name, prepare, run in (("shipping", _load_shipping, _shipping), ("sample", _load_sample, _sample)):
            with psycopg.connect(dsn, autocommit=True) as owner:
                owner.execute(f"create database {name}".encode())
            own = dsn.replace("/postgres?", f"/{name}?")
            prepare(own)
            ratios.append(_judged(name, own, run, _ask(own, name, measure=measure)))
    print(
        f"ratio {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f}) over {len(ratios)}"
        " pairs: time of all calls with the advised indexes against without"
    )
    return 0


def _load_shipping(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("select setseed(0.5)")
        for statement in SCHEMA.split(";"):
            owner.execute(statement.encode())


def _load_sample(dsn: str) -> None:
    load_sample(dsn, SCALE)
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("vacuum analyze")
        owner.execute("create extension if not exists pg_stat_statements")
        owner.execute("select pg_stat_statements_reset()")
    _sample(dsn)


def _ask(dsn: str, name: str, *, measure: bool) -> Advice:
    script = "".join(f"-- weight: {weight}\n{text};\n" for text, weight in STATEMENTS.items())
    given = (Given(script, "shipping.sql"),) if name == "shipping" else ()
    start = time.monotonic()
    found = advise(OpenTargets(dsn, None), Wish(queries=given, measure=measure and name == "shipping"))
    print(
        f"{name}: {len(found.recommendations)} indexes of {found.size_bytes / 1e6:.0f} MB advised in"
        f" {time.monotonic() - start:.1f} s; cost {found.cost_after / found.cost_before:.3f} of before"
    )
    for one in found.recommendations:
        print(f"  {one.definition.ddl(name='')}")
    for gone in found.rejected:
        print(f"  rejected: {gone.definition.ddl(name='')}: {gone.reason}")
    return found


def _judged(name: str, dsn: str, run: Callable[[str], dict[str, float]], found: Advice) -> float:
    before = run(dsn)
    with psycopg.connect(dsn, autocommit=True) as owner:
        for one in found.recommendations:
            owner.execute(one.definition.ddl(name=one.name).encode())
    after = run(dsn)
    for text, seconds in before.items():
        mark = "  SLOWER" if after[text] > seconds * 1.1 and after[text] - seconds > 0.002 else ""
        print(f"  {seconds * 1000:9.2f} ms -> {after[text] * 1000:9.2f} ms  {text[:90]}{mark}")
    weights = STATEMENTS if name == "shipping" else dict.fromkeys(before, 1)
    whole = [sum(weights[text] * seconds for text, seconds in times.items()) for times in (before, after)]
    print(f"{name}: {whole[0]:.2f} s without, {whole[1]:.2f} s with")
    return whole[1] / whole[0]


def _shipping(dsn: str) -> dict[str, float]:
    with psycopg.connect(dsn, autocommit=True) as session:
        return {text: _median(lambda text=text: session.execute(text.encode()).fetchall()) for text in STATEMENTS}  # type: ignore[misc]


def _sample(dsn: str) -> dict[str, float]:
    population, rng = read_population(dsn), Random(7)  # noqa: S311 - a repeatable workload
    with psycopg.connect(dsn) as connection:
        backend = Backend(Database(connection), Cache(None))
        found = {}
        for endpoint in ENDPOINTS:
            requests = [endpoint.request_for(population, rng) for _ in range(REQUESTS)]
            found[endpoint.name] = _median(lambda e=endpoint, r=requests: _each(e.slow, backend, r))  # type: ignore[misc]
        connection.rollback()
    return found


def _each(page: Callable[..., object], backend: Backend, requests: Iterable[object]) -> None:
    for request in requests:
        page(backend, request)


def _median(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
