"""Precision and recall of N+1 detection over mixed traffic of Django and SQLAlchemy, against the simple rule.

The simple rule is what other tools use: many calls, a low mean, at most one row per call.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import psycopg

from dbtune.nplusone.traffic import Traffic
from dbtune.servers.embedded.postgres import embedded_postgres

HERE = Path(__file__).resolve().parent.parent / "tests" / "nplusone"
MIXES = 6
MOST_MEAN_MS = 1.0


def load(name: str) -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def simple_rule(traffic: Traffic, patterns: set[str]) -> tuple[int, int, int]:
    """What the simple rule finds rightly, wrongly, and misses."""
    found = [
        one.text
        for one in traffic.statements
        if one.total_calls >= 100 and one.total_ms / one.total_calls < MOST_MEAN_MS and one.rows_per_call <= 1
    ]
    hit = {pattern for pattern in patterns if any(re.search(pattern, text, re.DOTALL) for text in found)}
    wrong = [text for text in found if not any(re.search(pattern, text, re.DOTALL) for pattern in patterns)]
    return len(hit), len(wrong), len(patterns - hit)


def main() -> None:
    calibration = load("calibration")
    ours: list[tuple[int, int, int]] = []
    theirs: list[tuple[int, int, int]] = []
    with embedded_postgres() as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("create database shop")
            parts = psycopg.conninfo.conninfo_to_dict(server.dsn)
        dsn = psycopg.conninfo.make_conninfo(**{**parts, "dbname": "shop"})
        calibration.fill(dsn)
        for shop in (load("shop_django"), load("shop_sqlalchemy")):
            endpoints = shop.prepare(dsn)
            for seed in range(MIXES):
                names = calibration.mix_of(endpoints, seed)
                traffic = calibration.run_mix(dsn, endpoints, names, seed)
                outcome = calibration.assess(calibration.found_in(traffic), names, shop.EXPECTED, seed)
                ours.append((len(outcome.right), len(outcome.wrong), len(outcome.missed)))
                patterns = {pattern for name in names for pattern in shop.EXPECTED.get(name, ())}
                theirs.append(simple_rule(traffic, patterns))
                print(f"{shop.__name__} mix {seed}: right, wrong, missed {ours[-1]}, simple rule {theirs[-1]}")
            shop.close()
    report("dbtune", ours)
    report("the simple rule", theirs)
    ratios = sorted(precision(one) / max(precision(other), 0.01) for one, other in zip(ours, theirs, strict=True))
    print(
        f"ratio {ratios[len(ratios) // 2]:.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}) over {len(ratios)} pairs:"
        " precision of dbtune against that of the simple rule"
    )


def precision(one: tuple[int, int, int]) -> float:
    return one[0] / (one[0] + one[1]) if one[0] + one[1] else 1.0


def report(name: str, counted: list[tuple[int, int, int]]) -> None:
    right, wrong, missed = (sum(one[at] for one in counted) for at in range(3))
    print(f"{name}: precision {right / max(right + wrong, 1):.2f}, recall {right / max(right + missed, 1):.2f}")


if __name__ == "__main__":
    main()
