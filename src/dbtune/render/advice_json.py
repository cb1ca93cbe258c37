"""Advice as `dbtune.advise/1`."""

from __future__ import annotations

from typing import Any

from dbtune.advisor.advice import Advice, Drop, Explanation, Recommendation, Served, Timing
from dbtune.advisor.index import IndexKey
from dbtune.core.formats import Screen
from dbtune.core.identifiers import quote
from dbtune.core.reports import envelope
from dbtune.render.document import to_json


def render(report: Advice, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """Costs are the planner's, sums over all calls in `workload`, of one call in `queries`.

    `share` is the part of the workload's cost that an index saves. `timings` are seconds of one call, where measured.
    """
    return to_json(
        envelope("dbtune.advise/1", report.target, report.started_at, report.duration_s)
        | {
            "recommendations": [_recommendation(one, report.cost_before) for one in report.recommendations],
            "drops": [_drop(one) for one in report.drops],
            "workload": {
                "cost_before": report.cost_before,
                "cost_after": report.cost_after,
                "statements": report.statements,
                "examined_share": report.examined_share,
            },
            "size_bytes": report.size_bytes,
            "complete": report.is_complete,
            "not_examined": [
                *(
                    {
                        "query": one.query,
                        "reason": one.reason,
                        "queryid": one.queryid,
                        "calls": one.weight,
                        "place": one.place,
                    }
                    for one in report.not_examined
                ),
                *({"query": None, "object": gap.check, "reason": gap.reason, "hint": gap.hint} for gap in report.gaps),
            ],
            "rejected": [
                {"name": one.name, "ddl": one.definition.ddl(name=one.name), "reason": one.reason}
                for one in report.rejected
            ],
            "timings": [_timing(one) for one in report.timings],
            "explanations": [_explanation(one) for one in report.explanations],
            "notes": report.notes,
        }
    )


def _recommendation(one: Recommendation, whole: float) -> dict[str, Any]:
    definition = one.definition
    return {
        "name": one.name,
        "table": f"{definition.schema}.{definition.table}",
        "columns": [_key(key) for key in definition.keys],
        "method": definition.method,
        "include": definition.include,
        "where": definition.where,
        "unique": definition.unique,
        "ddl": ";\n".join(one.statements),
        "size_bytes": one.size_bytes,
        "build_s": one.build_s,
        "write_cost": one.write_cost,
        "benefit": one.benefit,
        "share": one.benefit / whole if whole else 0.0,
        "queries": [_served(each) for each in one.queries],
        "why": one.why,
        "confidence": one.confidence,
    }


def _key(key: IndexKey) -> dict[str, Any]:
    order = "desc" if key.descending else "asc"
    if key.nulls_first is not None:
        order += " nulls first" if key.nulls_first else " nulls last"
    named = {"name": key.column} if key.column is not None else {"expression": key.expression}
    more = {"opclass": key.opclass, "collation": key.collation}
    return named | {"order": order} | {word: value for word, value in more.items() if value is not None}


def _served(one: Served) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    if one.after_s is not None:
        measured = {"before_s": one.before_s, "before_cut": one.is_cut, "after_s": one.after_s}
    return {
        "queryid": one.queryid,
        "query": one.query,
        "place": one.place,
        "calls": one.calls,
        "cost_before": one.cost_before,
        "cost_after": one.cost_after,
    } | measured


def _timing(one: Timing) -> dict[str, Any]:
    times = {"before_s": one.before_s, "before_cut": one.is_cut, "after_s": one.after_s}
    return {"queryid": one.queryid, "query": one.query, "place": one.place, "calls": one.calls} | times


def _drop(one: Drop) -> dict[str, Any]:
    return {
        "name": one.name,
        "index": quote(one.schema, one.name),
        "table": f"{one.schema}.{one.table}",
        "ddl": one.ddl,
        "size_bytes": one.size_bytes,
        "reason": one.reason,
        "replaced_by": one.replaced_by,
        "confidence": one.confidence,
    }


def _explanation(one: Explanation) -> dict[str, Any]:
    return {"index": one.index, "query": one.query, "before": one.before.document, "after": one.after.document}
