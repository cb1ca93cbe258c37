"""An audit as SARIF 2.1.0, which code scanning services and editors read."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from dbtune import __version__
from dbtune.checks.check import checks, documentation
from dbtune.core.findings import AuditReport, Finding, Severity, Unexamined
from dbtune.core.formats import Screen
from dbtune.render.document import to_json
from dbtune.render.text import one_line, plain

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: dict[Severity, str] = {"critical": "error", "warning": "warning", "info": "note"}


def render(report: AuditReport, screen: Screen) -> str:  # noqa: ARG001 - every renderer takes one
    """One run: the checks that found something are its rules, what could not look its notifications."""
    codes = sorted({finding.code for finding in report.findings})
    ended_at = report.started_at + timedelta(seconds=report.duration_s)
    run = {
        "tool": {"driver": {"name": "dbtune", "version": __version__, "rules": [_rule(code) for code in codes]}},
        "invocations": [
            {
                "executionSuccessful": True,
                "startTimeUtc": f"{report.started_at:%Y-%m-%dT%H:%M:%SZ}",
                "endTimeUtc": f"{ended_at:%Y-%m-%dT%H:%M:%SZ}",
                "toolExecutionNotifications": [
                    *(_notification(one) for one in report.skipped),
                    *({"level": "note", "message": {"text": plain(note)}} for note in report.notes),
                ],
            }
        ],
        "results": [_result(report, finding, codes.index(finding.code)) for finding in report.findings],
        "columnKind": "unicodeCodePoints",
    }
    return to_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> dict[str, Any]:
    known = checks().get(code)
    if known is None:
        return {"id": one_line(code)}
    text = documentation(known)
    return {
        "id": code,
        "name": known.name,
        "shortDescription": {"text": text.partition("\n")[0]},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": LEVELS[known.severity]},
    }


def _result(report: AuditReport, finding: Finding, rule_index: int) -> dict[str, Any]:
    name, statements = one_line(finding.object), finding.fix.sql if finding.fix else ()
    fixes = "".join(f"\n{plain(statement)}" for statement in statements)
    # There is no file; services that want one get the object's name as its place.
    place = quote(f"{one_line(report.target)}/{name}", safe="")
    return {
        "ruleId": one_line(finding.code),
        "ruleIndex": rule_index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{name}: {plain(finding.message)}{fixes}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": place}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": name, "kind": "object"}],
            }
        ],
        "partialFingerprints": {"dbtune/1": _fingerprint(finding)},
        "properties": {"confidence": finding.confidence, "evidence": finding.evidence, "sql": statements},
    }


def _fingerprint(finding: Finding) -> str:
    """The same flaw keeps it when its numbers move."""
    text = f"{finding.code}\n{finding.object}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _notification(one: Unexamined) -> dict[str, Any]:
    text = f"{one_line(one.check)} could not look: {plain(one.reason)}"
    return {
        "level": "note",
        "message": {"text": f"{text}. {plain(one.hint)}" if one.hint else text},
        "descriptor": {"id": one_line(one.check)},
    }
