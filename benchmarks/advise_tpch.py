"""Advice on TPC-H at scale factor 1, judged by the planner on indexes that are really built.

Needs a server with the data, primary keys and statistics, and the 22 queries, one in each file:

    python benchmarks/advise_tpch.py --dsn 'host=127.0.0.1 port=55415 user=postgres dbname=tpch' --queries DIR

For each budget `dbtune advise` is asked anew. Its indexes are then built in one transaction that is rolled back
(superuser), and switched on budget by budget. `rel22` is the cost of all queries against that with primary keys only;
`rel19` leaves out Q2, Q17 and Q20, which are nearly all of it.

With `--run` the queries are executed instead, by turns without any index (at most 60 s each) and with those for 1 GB;
with `--measure` also with those of measured advice for 1 GB. It takes minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dbtune.advisor.advice import Advice
from dbtune.advisor.states import Limits
from dbtune.app.advise import Given, Wish, advise
from dbtune.app.targets import OpenTargets
from dbtune.core.progress import silent

GIGABYTE = 10**9
# GB on disk: the most that rel22 * 1000 and rel19 may be, of the best published advisors with twice that budget.
GOALS = {0.125: (1.89, 0.80), 0.25: (1.55, 0.70), 0.5: (1.32, 0.59), 1.0: (1.14, 0.55), None: (1.04, 0.50)}
HEAVY = ("q02", "q17", "q20")
LONGEST_S = 60.0
TURNS = 3
SLOWER = 1.1
WITHOUT = "without"
LONGEST_MEASURED_S = 10.0
"""With --measure: what takes longer without any index is not waited for."""


@dataclass(frozen=True)
class Asked:
    budget: float | None
    seconds: float
    advice: Advice


def main() -> int:
    options = _options()
    if options.dsn is None or options.queries is None:
        print("advise_tpch: not run: give --dsn of a server with TPC-H, and --queries", file=sys.stderr)
        return 0
    queries = {path.stem: path.read_text().strip().rstrip(";") for path in sorted(options.queries.glob("q*.sql"))}
    if not queries:
        print(f"advise_tpch: there is no q*.sql in {options.queries}", file=sys.stderr)
        return 2
    return _run(options.dsn, queries, measure=options.measure) if options.run else _table(options.dsn, queries)


def _table(dsn: str, queries: dict[str, str]) -> int:
    asked = [_ask(dsn, queries, budget) for budget in GOALS]
    with psycopg.connect(dsn) as session:
        base = _costs(session, queries)
        built = _build(session, asked)
        ratios = [_line(session, queries, base, built, one) for one in asked]
        session.rollback()
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    what = "rel19 of the advice against that of the best published advisors, a pair for each budget"
    print(f"ratio {middle:.3f} (min {low:.3f}, max {high:.3f}) over {len(ratios)} pairs: {what}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn")
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    options.run |= options.measure
    return options


def _ask(dsn: str, queries: dict[str, str], budget: float | None, *, measure: bool = False) -> Asked:
    script = "".join(f"{text};\n" for text in queries.values())
    limits = Limits(None if budget is None else int(budget * GIGABYTE))
    wish = Wish(
        queries=(Given(script, "tpch.sql"),), limits=limits, measure=measure, statement_timeout_s=LONGEST_MEASURED_S
    )
    start = time.monotonic()
    advice = advise(OpenTargets(dsn, None), wish, _told if measure else silent)
    return Asked(budget, time.monotonic() - start, advice)


def _told(text: str, fraction: float | None = None) -> None:
    if not fraction:
        print(f"{time.strftime('%T')} {text}", file=sys.stderr)


def _costs(session: psycopg.Connection[Any], queries: dict[str, str]) -> dict[str, float]:
    found = {}
    for name, text in queries.items():
        row = session.execute(f"explain (format json) {text}".encode()).fetchone()
        found[name] = float(row[0][0]["Plan"]["Total Cost"]) if row else 0.0
    return found


def _build(session: psycopg.Connection[Any], asked: Sequence[Asked]) -> dict[str, int]:
    """Every index once, by its definition."""
    built: dict[str, int] = {}
    for one in asked:
        for index in one.advice.recommendations:
            ddl = index.definition.ddl(name="")
            if ddl not in built:
                name = f"advised_{len(built)}"
                session.execute(index.definition.ddl(name=name).encode())
                schema = index.definition.schema
                row = session.execute("select to_regclass(format('%%I.%%I', %s::text, %s::text))::oid", (schema, name))
                built[ddl] = int(row.fetchone()[0])  # type: ignore[index]
    return built


def _line(
    session: psycopg.Connection[Any],
    queries: dict[str, str],
    base: dict[str, float],
    built: dict[str, int],
    one: Asked,
) -> float:
    mine = _switch(session, built, one)
    costs = _costs(session, queries)
    size = session.execute("select sum(pg_relation_size(oid)) from pg_class where oid = any (%s::oid[])", (mine,))
    on_disk = int((size.fetchone() or (0,))[0] or 0)
    light = [name for name in queries if name not in HEAVY]
    rel22 = sum(costs.values()) / sum(base.values()) * 1000
    rel19 = sum(costs[name] for name in light) / sum(base[name] for name in light)
    goal22, goal19 = GOALS[one.budget]
    fits = one.budget is None or on_disk <= one.budget * GIGABYTE
    print(
        f"budget {one.budget or 'none':>5}: rel22 x 1000 {rel22:.3f} (goal {goal22}),"
        f" rel19 {rel19:.3f} (goal {goal19}),"
        f" {on_disk / GIGABYTE:.3f} GB on disk{'' if fits else ' TOO MUCH'}, {len(mine)} indexes, {one.seconds:.1f} s"
    )
    return rel19 / goal19


def _switch(session: psycopg.Connection[Any], built: dict[str, int], one: Asked | None) -> list[int]:
    """On with the indexes of this advice, off with all others; the oids of the former."""
    mine = [built[index.definition.ddl(name="")] for index in one.advice.recommendations] if one else []
    session.execute(
        "update pg_index set indisvalid = (indexrelid = any (%s::oid[])) where indexrelid = any (%s::oid[])",
        (mine, list(built.values())),
    )
    return mine


def _run(dsn: str, queries: dict[str, str], *, measure: bool) -> int:
    sets: dict[str, Asked | None] = {WITHOUT: None, "advised": _ask(dsn, queries, 1.0)}
    if measure:
        sets["measured"] = tried = _ask(dsn, queries, 1.0, measure=True)
        _tell(tried)
    with psycopg.connect(dsn) as session:
        built = _build(session, [one for one in sets.values() if one])
        session.execute(f"set statement_timeout = {LONGEST_S * 1000:.0f}")
        session.prepare_threshold = None  # what was prepared would keep the plan of the set before
        times = {query: _turns(session, query, text, sets, built) for query, text in queries.items()}
        session.rollback()
    for name in sets:
        whole = sum(found[name] for found in times.values())
        ended = sum(found[name] for found in times.values() if found[WITHOUT] < LONGEST_S)
        slower = [query for query, found in times.items() if found[name] > found[WITHOUT] * SLOWER]
        print(f"{name}: {whole:.1f} s, {ended:.1f} s of it what ends without too; slower: {slower or 'none'}")
    return 0


def _turns(
    session: psycopg.Connection[Any], query: str, text: str, sets: dict[str, Asked | None], built: dict[str, int]
) -> dict[str, float]:
    """Median seconds with each set, by turns: whatever slows the machine for a while slows all of them.

    What takes too long counts as the limit, and is not run again. The first run warms the memory.
    """
    turns: dict[str, list[float]] = {name: [] for name in sets}
    for number in range(1 + TURNS):
        for name, one in sets.items():
            if LONGEST_S not in turns[name]:
                _switch(session, built, one)
                turns[name] = [*(turns[name] if number > 1 else []), _seconds(session, text)]
    found = {
        name: max(seconds) if LONGEST_S in seconds else statistics.median(seconds) for name, seconds in turns.items()
    }
    print(f"  {query}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items()), flush=True)
    return found


def _seconds(session: psycopg.Connection[Any], text: str) -> float:
    start = time.perf_counter()
    try:
        with session.transaction():
            session.execute(text.encode()).fetchall()
    except psycopg.errors.QueryCanceled:
        return LONGEST_S
    return time.perf_counter() - start


def _tell(asked: Asked) -> None:
    for one in asked.advice.recommendations:
        print(f"stays: {one.definition.ddl()}")
    for gone in asked.advice.rejected:
        print(f"goes: {gone.definition.ddl()}: {gone.reason}")
    print(f"{'; '.join(asked.advice.notes)}; {asked.seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
