"""What every form of an audit says, in which order: findings by severity, then what nobody could look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dbtune.checks.check import checks
from dbtune.core.findings import SEVERITIES, AuditReport, Finding, Severity, Unexamined
from dbtune.core.units import format_duration, format_size
from dbtune.render.run_outline import Tone
from dbtune.render.text import one_line, plain

TONES: Mapping[Severity, Tone] = {"critical": "bad", "warning": "open", "info": "same"}
CONFIDENCE = {"measured": "", "simulated": "simulated, not measured", "heuristic": "a guess from indications"}
"""A measured finding needs no remark."""


@dataclass(frozen=True, slots=True)
class Group:
    severity: Severity
    findings: tuple[Finding, ...]

    @property
    def tone(self) -> Tone:
        return TONES[self.severity]

    @property
    def title(self) -> str:
        return f"{self.severity} ({len(self.findings)})"


@dataclass(frozen=True, slots=True)
class Gap:
    """One reason for which `checks` could not look, and how they can."""

    reason: str
    hint: str | None
    checks: tuple[str, ...]

    @property
    def title(self) -> str:
        """`RD001 and 16 more`: many checks share what is missing."""
        if len(self.checks) <= 3:
            return ", ".join(map(check_title, self.checks))
        return f"{check_title(self.checks[0])} and {len(self.checks) - 1} more"


def groups(report: AuditReport) -> tuple[Group, ...]:
    """The findings by severity, the worst first, without empty groups."""
    found = ((one, tuple(finding for finding in report.findings if finding.severity == one)) for one in SEVERITIES)
    return tuple(Group(severity, findings) for severity, findings in found if findings)


def gaps(skipped: Iterable[Unexamined]) -> tuple[Gap, ...]:
    """What was not examined, equal reasons together, in the order of the report."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for one in skipped:
        found.setdefault((one.reason, one.hint), []).append(one.check)
    return tuple(Gap(reason, hint, tuple(dict.fromkeys(who))) for (reason, hint), who in found.items())


def check_title(code: str) -> str:
    """`PG001 unused-index`; a code that no check has stands alone."""
    known = checks().get(code)
    return f"{code} {known.name}" if known else one_line(code)


def summary(report: AuditReport) -> str:
    """`1 critical, 2 warnings, 3 info. 40 checks looked, 2 could not. Took 120ms.`"""
    counts = report.summary
    found = ", ".join(
        f"{counts[one]} {'warnings' if one == 'warning' and counts[one] != 1 else one}"
        for one in SEVERITIES
        if counts[one]
    )
    looked = "1 check looked" if counts["examined"] == 1 else f"{counts['examined']} checks looked"
    left_out = len({one.check for one in report.skipped})
    missed = f", {left_out} could not" if left_out else ""
    accepted = f" Accepted and not shown: {counts['accepted']}." if counts["accepted"] else ""
    return f"{found or 'Nothing found'}. {looked}{missed}.{accepted} Took {format_duration(report.duration_s)}."


def tone(report: AuditReport) -> Tone:
    """Of the worst that was found."""
    found = groups(report)
    return found[0].tone if found else "good"


def evidence(finding: Finding) -> tuple[tuple[str, str], ...]:
    """(label, text) pairs, units shown as people read them; texts are plain and may have several lines."""
    return tuple((one_line(_label(key)), _show(key, value)) for key, value in finding.evidence.items())


def _label(key: str) -> str:
    for unit in ("_bytes", "_ms", "_s"):
        key = key.removesuffix(unit)
    return key.replace("_", " ")


def _show(key: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, int | float):
        if key.endswith("id"):
            return str(value)
        if key.endswith("_bytes"):
            return format_size(value)
        if key.endswith(("_ms", "_s")):
            return format_duration(value / 1000 if key.endswith("_ms") else value)
        return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return "\n".join(f"{one_line(_label(str(inner)))}: {_show(str(inner), item)}" for inner, item in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(_show(key, item).replace("\n", ", ") for item in value)
    return plain(str(value))
