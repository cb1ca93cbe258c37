"""Advice on TPC-H at scale factor 1, judged by the planner on indexes that are really built.

Needs a server with the data, primary keys and statistics, and the 22 queries, one in each file:

    python benchmarks/advise_tpch.py --dsn 'host=127.0.0.1 port=55415 user=postgres dbname=tpch' --queries DIR

For each budget `dbtune advise` is asked anew. Its indexes are then built in one transaction that is rolled back
(superuser), and switched on budget by budget. `rel22` is the cost of all queries against that with primary keys only;
`rel19` leaves out Q2, Q17 and Q20, which are nearly all of it. With `--run` the queries are also executed, without any
index (at most 60 s each) and with those of the budget of 1 GB; `--before FILE` keeps the times without, which take
minutes, for the next run. With `--measure` the advice at 1 GB is asked for once more, measured; nothing else is done.
"""

from __future__ import annotations

import argparse
import json
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
LONGEST_S = 60
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
    if options.measure:
        _measure(options.dsn, queries)
        return 0
    asked = [_ask(options.dsn, queries, budget) for budget in GOALS]
    with psycopg.connect(options.dsn) as session:
        base = _costs(session, queries)
        built = _build(session, asked)
        ratios = [_line(session, queries, base, built, one) for one in asked]
        session.rollback()
    if options.run:
        _run(options.dsn, queries, next(one.advice for one in asked if one.budget == 1.0), options.before)
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    what = "rel19 of the advice against that of the best published advisors, a pair for each budget"
    print(f"ratio {middle:.3f} (min {low:.3f}, max {high:.3f}) over {len(ratios)} pairs: {what}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn")
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--measure", action="store_true")
    return parser.parse_args()


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
    mine = [built[index.definition.ddl(name="")] for index in one.advice.recommendations]
    session.execute(
        "update pg_index set indisvalid = (indexrelid = any (%s::oid[])) where indexrelid = any (%s::oid[])",
        (mine, list(built.values())),
    )
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


def _run(dsn: str, queries: dict[str, str], advice: Advice, kept: Path | None) -> None:
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(f"set statement_timeout = {LONGEST_S * 1000}")
        if kept is not None and kept.exists():
            before = json.loads(kept.read_text())
        else:
            before = _seconds(session, queries)
            if kept is not None:
                kept.write_text(json.dumps(before))
        after = _with(session, queries, advice)
    _compared("run", before, after)


def _with(session: psycopg.Connection[Any], queries: dict[str, str], advice: Advice) -> dict[str, float]:
    names = []
    try:
        session.execute("set statement_timeout = 0")
        for number, index in enumerate(advice.recommendations):
            names.append(f"advised_{number}")
            session.execute(index.definition.ddl(name=names[-1]).encode())
        session.execute(f"set statement_timeout = {LONGEST_S * 1000}")
        return _seconds(session, queries)
    finally:
        session.execute("set statement_timeout = 0")
        for name in names:
            session.execute(f"drop index if exists {name}".encode())


def _compared(what: str, before: dict[str, float], after: dict[str, float]) -> None:
    for name, seconds in before.items():
        print(f"  {name} {seconds:8.3f} s -> {after[name]:8.3f} s")
    slower = [name for name in before if after[name] > before[name] * 1.1]
    print(f"{what}: {sum(before.values()):.1f} s without, {sum(after.values()):.1f} s with; slower: {slower or 'none'}")


def _measure(dsn: str, queries: dict[str, str]) -> None:
    asked = _ask(dsn, queries, 1.0, measure=True)
    for one in asked.advice.recommendations:
        print(f"stays: {one.definition.ddl()}")
    for gone in asked.advice.rejected:
        print(f"goes: {gone.definition.ddl()}: {gone.reason}")
    served = {each.query: each for one in asked.advice.recommendations for each in one.queries if each.after_s}
    slower = [each.query[:40] for each in served.values() if (each.after_s or 0) > (each.before_s or 0) * 1.1]
    print(f"{'; '.join(asked.advice.notes)}; of {len(served)} served slower: {slower or 'none'}; {asked.seconds:.0f} s")


def _seconds(session: psycopg.Connection[Any], queries: dict[str, str]) -> dict[str, float]:
    """The median of three; what takes too long counts as the limit, and is not run again."""
    found = {}
    for name, text in queries.items():
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            try:
                session.execute(text.encode()).fetchall()
            except psycopg.errors.QueryCanceled:
                runs = [float(LONGEST_S)]
                break
            runs.append(time.perf_counter() - start)
        found[name] = statistics.median(runs)
    return found


if __name__ == "__main__":
    sys.exit(main())
