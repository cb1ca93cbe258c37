"""plan, apply, verify and rollback as `dbtune.COMMAND/1`."""

from __future__ import annotations

from typing import Any

from dbtune.core.formats import Screen
from dbtune.core.reports import RunReport, StepReport, envelope
from dbtune.render.document import to_json


def render(report: RunReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return to_json(
        envelope(f"dbtune.{report.command}/1", report.target, report.started_at, report.duration_s)
        | {
            "run_id": report.run_id,
            "playbook": report.playbook,
            "playbook_hash": report.playbook_hash,
            "summary": report.summary,
            "steps": [_step(step) for step in report.steps],
        }
    )


def _step(step: StepReport) -> dict[str, Any]:
    return {
        "id": step.id,
        "kind": step.kind,
        "name": step.name,
        "status": step.status,
        "sql": step.sql,
        "before": step.before,
        "after": step.after,
        "duration_s": step.duration_s,
        "error": step.error,
        "hint": step.hint,
        "reason": step.reason,
        "notes": step.notes,
        "lock": step.lock,
        "size_bytes": step.size_bytes,
        "restart": step.restart,
        "blockers": step.blockers,
    }
