"""A comparison as the JSON document `dbtune.baseline.compare/1`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dbtune.baseline.outcome import SCHEMA, Comparison, LoadPair, Metric, StatementChange
from dbtune.baseline.statistics import Interval
from dbtune.core.formats import Screen
from dbtune.core.reports import envelope
from dbtune.render.document import to_json


def render(report: Comparison, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return to_json(document(report))


def document(report: Comparison) -> dict[str, Any]:
    trust = asdict(report.trust)
    trust["settings_differ"] = [
        {"name": name, "before": old, "after": new} for name, (old, new) in report.trust.settings_differ.items()
    ]
    return {
        **envelope(SCHEMA, report.target, report.started_at, report.duration_s),
        "before": asdict(report.before),
        "after": asdict(report.after),
        "margin": report.margin,
        "noise": report.noise,
        "verdict": report.verdict,
        "geometric_mean": dict(report.geometric_mean),
        "split": asdict(report.split) if report.split else None,
        "metrics": [_metric(metric) for metric in report.metrics],
        "statements": [_statement(statement) for statement in report.statements],
        "tables": [asdict(table) for table in report.tables],
        "plans": [{**asdict(plan), "changed": plan.changed} for plan in report.plans],
        "gates": [asdict(gate) for gate in report.gates],
        "loads": [_load(pair) for pair in report.loads],
        "new_indexes": [asdict(index) for index in report.new_indexes],
        "changes": [asdict(change) for change in report.changes],
        "trust": trust,
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        **asdict(metric),
        "interval": _interval(metric.interval),
        "before_interval": _interval(metric.before_interval),
        "after_interval": _interval(metric.after_interval),
    }


def _statement(statement: StatementChange) -> dict[str, Any]:
    """`queryid` is the first of `queryids`, as a string: it has 64 bits."""
    time = _metric(statement.time)
    return {
        "queryid": statement.queryids[0],
        "queryids": list(statement.queryids),
        "query": statement.query,
        "user": statement.user,
        "toplevel": statement.toplevel,
        "matched_by": statement.matched_by,
        "verdict": statement.time.verdict,
        "time_per_call": time,
        "before": asdict(statement.before) if statement.before else None,
        "after": asdict(statement.after) if statement.after else None,
        "split": asdict(statement.split),
        "plan": {**asdict(statement.plan), "changed": statement.plan.changed} if statement.plan else None,
        "indexes_before": list(statement.indexes_before),
        "indexes_after": list(statement.indexes_after),
        "causes": list(statement.causes),
    }


def _load(pair: LoadPair) -> dict[str, Any]:
    """Without histograms: the captures hold those."""
    sides = {"before": pair.before, "after": pair.after}
    return {
        "name": pair.name,
        **{
            label: {
                "engine": load.engine, "mode": load.mode, "profile": load.profile, "workers": load.workers,
                "duration_s": load.duration_s, "sent": load.sent, "failed": load.failed, "dropped": load.dropped,
                "errors": dict(load.errors), "series": [asdict(moment) for moment in load.series],
            }
            for label, load in sides.items()
        },
    }  # fmt: skip


def _interval(interval: Interval | None) -> list[float] | None:
    return [interval.low, interval.high] if interval is not None else None
