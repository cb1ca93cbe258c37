"""Findings that somebody looked at and lives with: a YAML file with a reason and an expiry for each.

version: 1
accepted:
- code: PG001
object: public.users.users_email_idx
reason: the month-end job uses it
expires: 2027-01-31
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dbtune.core.errors import InvalidPlaybook
from dbtune.core.findings import AuditReport, Finding
from dbtune.playbook.complaints import Complaints
from dbtune.playbook.source import read, stop
from dbtune.playbook.tree import Table, parse

GRACE = timedelta(days=90)
"""How long an acceptance written by `--write-accepted` lasts: a quarter, then somebody looks again."""
HINT = "an entry has code, object, reason and expires (a date); `--write-accepted` writes such a file"


class Acceptance(BaseModel):
    """One finding that is accepted up to and including the day it expires. `object` may be * for any.

    For an N+1 it may also be the queryid or the fingerprint of the repeated statement.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(min_length=1, description="the code or the name of the check")
    object: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    expires: date


def _marks(finding: Finding) -> Sequence[str]:
    """An N+1 is named by its statement as well: the queryid or the fingerprint of the one that is repeated."""
    child = finding.evidence.get("child") or {}
    return (*child.get("queryids", ()), child["fingerprint"]) if "fingerprint" in child else ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    accepted: tuple[Acceptance, ...] = ()


@dataclass(frozen=True, slots=True)
class Sorted:
    """The report without what is accepted, and the entries that no finding needs any more."""

    report: AuditReport
    unused: tuple[Acceptance, ...]


def read_accepted(path: Path) -> tuple[Acceptance, ...]:
    """Raises InvalidPlaybook with every mistake and its place."""
    text = read(path)
    root, problems = parse(str(path), text)
    if not isinstance(root, Table):
        raise stop(str(path), "this is no mapping with version and accepted", hint=HINT)
    complaints = Complaints(str(path), list(problems))
    found = complaints.check(_File, root, "")
    complaints.stop_if_any(hint=HINT)
    if found is None:
        raise InvalidPlaybook((), hint=HINT)
    return found.accepted


def accept(report: AuditReport, accepted: Sequence[Acceptance], today: date) -> Sorted:
    """Leaves out what is accepted; what was accepted and has expired is back, and says so."""
    left: list[Finding] = []
    used: set[Acceptance] = set()
    by_place: dict[tuple[str, str], list[Acceptance]] = {}
    for entry in accepted:
        by_place.setdefault((entry.code, entry.object), []).append(entry)
    for finding in report.findings:
        covering = [
            entry
            for code in (finding.code, finding.name)
            for subject in (finding.object, "*", *_marks(finding))
            for entry in by_place.get((code, subject), ())
        ]
        used.update(covering)
        if any(entry.expires >= today for entry in covering):
            continue
        left.append(_expired(finding, max(covering, key=lambda entry: entry.expires)) if covering else finding)
    shown = replace(report, findings=tuple(left), accepted=report.accepted + len(report.findings) - len(left))
    return Sorted(shown, tuple(entry for entry in accepted if entry not in used))


def _expired(finding: Finding, entry: Acceptance) -> Finding:
    return replace(
        finding,
        message=f"{finding.message} (was accepted until {entry.expires}: {entry.reason})",
        evidence={**finding.evidence, "accepted_until": str(entry.expires), "accepted_because": entry.reason},
    )


def dump_accepted(findings: Sequence[Finding], kept: Sequence[Acceptance], today: date) -> str:
    """The file's text: entries that still stand, then one for each finding, to be given a reason by a person."""
    import yaml

    entries = [
        *(entry for entry in kept if entry.expires >= today),
        *(
            Acceptance(
                code=finding.code, object=finding.object, reason=f"found on {today}: say why", expires=today + GRACE
            )
            for finding in findings
        ),
    ]
    document = {"version": 1, "accepted": [entry.model_dump() for entry in entries]}
    head = "# Findings that `dbtune audit --accept FILE` leaves out until they expire. Give each its reason.\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
