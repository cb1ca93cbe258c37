"""Precision and recall of N+1 detection over mixed traffic of Django and SQLAlchemy, against the simple rule.

The seeds were held out: the method was developed on others. Shop: two ORMs, one database; a mix is 1 to 3 endpoints
with an N+1, 1 to 4 fixed ones, and half or more of what looks alike. Library: its lists are shared by bad, fixed and
plain endpoints, the hardest case. Live: three threads at a time against the wall clock, as
`audit --window 60s` sees it.
The simple rule is what other tools use: many calls, a low mean, at most one row per call.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from dbtune.app.statement_windows import sub_windows, watch
from dbtune.nplusone.traffic import Traffic
from dbtune.servers.embedded.postgres import embedded_postgres
from dbtune.servers.postgres.session import connect

HERE = Path(__file__).resolve().parent.parent / "tests" / "nplusone"
FIRST_SEED = 7000
MOST_MEAN_MS = 1.0
WINDOW_S = 60.0
Counted = tuple[int, int, int]
"""Found rightly, found wrongly, missed."""


def load(name: str) -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def simple_rule(traffic: Traffic, patterns: set[str]) -> Counted:
    found = [
        one.text
        for one in traffic.statements
        if one.total_calls >= 100 and one.total_ms / one.total_calls < MOST_MEAN_MS and one.rows_per_call <= 1
    ]
    hit = {pattern for pattern in patterns if any(re.search(pattern, text, re.DOTALL) for text in found)}
    wrong = [text for text in found if not any(re.search(pattern, text, re.DOTALL) for pattern in patterns)]
    return len(hit), len(wrong), len(patterns - hit)


class Tally:
    """What was counted in mixes, by group."""

    def __init__(self, calibration: Any) -> None:  # noqa: ANN401 - a module
        self.calibration = calibration
        self.groups: dict[str, list[tuple[Counted, Counted]]] = {}

    def judge(self, group: str, module: Any, names: list[str], seed: int, traffic: Traffic) -> None:  # noqa: ANN401
        found = self.calibration.found_in(traffic)
        outcome = self.calibration.assess(found, names, module.EXPECTED, seed)
        ours = len(outcome.right), len(outcome.wrong), len(outcome.missed)
        patterns = {pattern for name in names for pattern in module.EXPECTED.get(name, ())}
        theirs = simple_rule(traffic, patterns)
        self.groups.setdefault(group, []).append((ours, theirs))
        print(f"{group}, {module.__name__}, seed {seed}: right, wrong, missed {ours}, simple rule {theirs}", flush=True)
        for pattern in outcome.missed:
            print(f"    missed: {pattern}")
        for finding in outcome.wrong:
            print(f"    wrong: {finding.object}: {finding.evidence['child']['query'][-100:]}")

    def report(self) -> None:
        for group, pairs in self.groups.items():
            ours, theirs = summed([one for one, _ in pairs]), summed([other for _, other in pairs])
            print(f"{group}: {told(ours)} over {len(pairs)} mixes; the simple rule: {told(theirs)}")


def summed(counted: list[Counted]) -> Counted:
    right, wrong, missed = (sum(one[at] for one in counted) for at in range(3))
    return right, wrong, missed


def told(one: Counted) -> str:
    right, wrong, missed = one
    return f"precision {precision(one):.2f}, recall {right / max(right + missed, 1):.2f} ({right} of {right + missed}, {wrong} wrong)"  # noqa: E501


def precision(one: Counted) -> float:
    return one[0] / (one[0] + one[1]) if one[0] + one[1] else 1.0


@contextmanager
def application(server: str, calibration: Any, module: Any, data: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Its DSN and its endpoints, on a database of its own."""
    name = f"{module.__name__}_db"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    dsn = psycopg.conninfo.make_conninfo(server, dbname=name)
    calibration.fill(dsn, data)
    try:
        yield dsn, module.prepare(dsn)
    finally:
        module.close()


def live(calibration: Any, module: Any, running: tuple[str, Any], names: list[str], seed: int) -> Traffic:  # noqa: ANN401
    dsn, endpoints = running
    leave = module.close if module.__name__ == "shop_django" else lambda: None
    with (
        calibration.serving(endpoints, names, seed, leave, idle_s=0.06),
        connect(dsn) as session,
    ):
        found: Traffic = watch(session, WINDOW_S, sub_windows(WINDOW_S))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixes", type=int, default=12, help="of each application")
    parser.add_argument("--live", type=int, default=3, help="mixes of each application, a minute each")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first mix")
    wish = parser.parse_args()
    calibration = load("calibration")
    tally = Tally(calibration)
    with embedded_postgres() as server:
        for name, data in (("shop_django", "shop"), ("shop_sqlalchemy", "shop"), ("library_sqlalchemy", "library")):
            module = load(name)
            with application(server.dsn, calibration, module, data) as (dsn, endpoints):
                for seed in range(wish.seed, wish.seed + wish.mixes):
                    names = calibration.mix_of(endpoints, seed)
                    tally.judge(data, module, names, seed, calibration.run_mix(dsn, endpoints, names, seed))
                for seed in range(wish.seed + 100, wish.seed + 100 + wish.live):
                    names = calibration.mix_of(endpoints, seed)
                    seen = live(calibration, module, (dsn, endpoints), names, seed)
                    tally.judge(f"{data}, live", module, names, seed, seen)
    tally.report()
    pairs = [pair for group in tally.groups.values() for pair in group]
    ratios = sorted(precision(one) / max(precision(other), 0.01) for one, other in pairs)
    print(
        f"ratio {ratios[len(ratios) // 2]:.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}) over {len(ratios)} pairs:"
        " precision of dbtune against that of the simple rule"
    )


if __name__ == "__main__":
    main()
