"""What each node took by itself, where the tree alone does not tell."""

from __future__ import annotations

import pytest

from dbtune.plans.plan import Plan
from dbtune.plans.saved import read_plans

# The shapes are PostgreSQL's, the times are round.
CTE = """
 Aggregate  (cost=1..2 rows=1 width=8) (actual time=100.000..100.000 rows=1 loops=1)
   CTE few
     ->  Seq Scan on items  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..60.000 rows=10 loops=1)
   ->  CTE Scan on few f  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..90.000 rows=10 loops=1)
 Execution Time: 100.000 ms
"""
INIT_PLAN = """
 Limit  (cost=1..2 rows=1 width=8) (actual time=100.000..100.000 rows=1 loops=1)
   Output: (count(*)), ($0)
   InitPlan 1 (returns $0)
     ->  Seq Scan on other  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..60.000 rows=10 loops=1)
   ->  Aggregate  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..99.000 rows=1 loops=1)
         Output: count(*), $0
         ->  Seq Scan on items  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..30.000 rows=10 loops=1)
               Output: id
 Execution Time: 100.000 ms
"""
PARALLEL = """
 Gather  (cost=1..2 rows=1 width=8) (actual time=1.000..100.000 rows=30 loops=1)
   Workers Planned: 2
   Workers Launched: 2
   ->  Nested Loop  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..90.000 rows=10 loops=3)
         ->  Parallel Seq Scan on items  (cost=0.00..1.00 rows=10 width=4) (actual time=0.010..30.000 rows=10 loops=3)
         ->  Index Scan using i on other  (cost=0.00..1.00 rows=1 width=4) (actual time=0.010..1.000 rows=1 loops=30)
 Execution Time: 100.000 ms
"""


def own_times_ms(text: str) -> tuple[Plan, dict[str, float]]:
    plan = read_plans(text.replace("cost=1..2", "cost=1.00..2.00"))[0]
    return plan, {node.title: round((node.self_s or 0) * 1000, 3) for node in plan.nodes}


def test_a_cte_is_a_part_of_the_scan_that_reads_it() -> None:
    _, times = own_times_ms(CTE)
    assert times == {"Aggregate": 10, "Seq Scan on items": 60, "CTE Scan on few f": 30}


def test_an_initplan_is_a_part_of_the_lowest_node_that_needs_its_value() -> None:
    _, times = own_times_ms(INIT_PLAN)
    assert times == {"Limit": 1, "Seq Scan on other": 60, "Aggregate": 9, "Seq Scan on items": 30}


def test_workers_run_side_by_side() -> None:
    plan, times = own_times_ms(PARALLEL)
    assert times["Gather"] == pytest.approx(10)
    assert times["Parallel Seq Scan on items"] == pytest.approx(30)
    assert times["Index Scan using i on other"] == pytest.approx(10)
    assert times["Nested Loop"] == pytest.approx(50)
    assert sum(times.values()) == pytest.approx(100)
    assert plan.hottest.title == "Nested Loop"
    assert plan.hot_path == {1, 2}


def test_a_part_that_never_ran_took_nothing() -> None:
    text = PARALLEL.replace("(actual time=0.010..1.000 rows=1 loops=30)", "(never executed)")
    plan, times = own_times_ms(text)
    assert times["Index Scan using i on other"] == 0
    assert plan.nodes[-1].never_executed
