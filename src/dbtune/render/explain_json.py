"""An explained statement as `dbtune.explain/1`."""

from __future__ import annotations

from typing import Any

from dbtune.core.formats import Screen
from dbtune.core.reports import envelope
from dbtune.plans.insight import Insight
from dbtune.plans.plan import Node, Plan
from dbtune.plans.report import ExplainReport
from dbtune.render.document import to_json


def render(report: ExplainReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """`plan` is in PostgreSQL's own words, whatever form it came in; `nodes` is what was reckoned from it."""
    plan = report.plan
    return to_json(
        envelope("dbtune.explain/1", report.target, report.started_at, report.duration_s)
        | {
            "statement": report.statement,
            "notes": report.notes,
            "executed": plan.is_executed,
            "planning_s": plan.planning_s,
            "execution_s": plan.execution_s,
            "plan": plan.document,
            "nodes": [_node(plan, node) for node in plan.nodes],
            "insights": [_insight(insight) for insight in report.insights],
        }
    )


def _insight(insight: Insight) -> dict[str, Any]:
    return {
        "code": insight.code,
        "name": insight.name,
        "severity": insight.severity,
        "node": insight.node,
        "node_number": insight.node_number,
        "value": insight.value,
        "threshold": insight.threshold,
        "unit": insight.unit,
        "message": insight.message,
        "action": insight.action,
        "sql": insight.sql,
    }


def _node(plan: Plan, node: Node) -> dict[str, Any]:
    return {
        "number": node.number,
        "parent": node.parent,
        "title": node.title,
        "time_s": node.wall_s,
        "self_s": node.self_s,
        "share": plan.time_share(node),
        "rows": node.total_rows,
        "estimated_rows": None if node.planned_rows is None else node.planned_rows * (node.loops or 1),
        "misestimate": node.misestimate,
        "hot": node.number in plan.hot_path,
    }
