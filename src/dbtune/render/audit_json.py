"""An audit as `dbtune.audit/1`."""

from __future__ import annotations

from typing import Any

from dbtune.core.findings import AuditReport, Finding, Fix
from dbtune.core.formats import Screen
from dbtune.core.reports import envelope
from dbtune.render.document import to_json


def render(report: AuditReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    return to_json(
        envelope("dbtune.audit/1", report.target, report.started_at, report.duration_s)
        | {
            "findings": [finding_document(finding) for finding in report.findings],
            "skipped": [{"check": one.check, "reason": one.reason, "hint": one.hint} for one in report.skipped],
            "examined": report.examined,
            "notes": report.notes,
            "summary": report.summary,
        }
    )


def finding_document(finding: Finding) -> dict[str, Any]:
    """One finding as every document writes it."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "object": finding.object,
        "message": finding.message,
        "evidence": finding.evidence,
        "fix": _fix(finding.fix) if finding.fix else None,
        "confidence": finding.confidence,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {"sql": fix.sql, "step": fix.step, "safe": fix.safe} | ({"then": fix.then} if fix.then else {})
