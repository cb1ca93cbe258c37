"""From the safe fixes of an audit to a playbook that `validate`, `plan` and `apply` accept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dbtune.core.cache_report import CacheReport
from dbtune.core.findings import AuditReport, Finding
from dbtune.playbook.source import MAX_BYTES
from dbtune.render.text import one_line

_BRACES = re.compile(r"\{\{|\{%|\{#")


@dataclass(frozen=True, slots=True)
class FixPlaybook:
    """`text` is None when no fix is safe: a playbook has steps. `left_out` did not fit into one file."""

    text: str | None
    steps: int
    left_out: int = 0


def fix_playbook(report: AuditReport | CacheReport, *, only_safe: bool = True) -> FixPlaybook:
    """The worst findings first, each step once, its reasons as comments."""
    reasons: dict[str, list[Finding]] = {}
    for finding in report.findings:
        fix = finding.fix
        if fix is not None and (fix.safe or not only_safe) and fix.step is not None:
            for step in (fix.step, *fix.then):
                reasons.setdefault(json.dumps(step, default=list), []).append(finding)
    if not reasons:
        return FixPlaybook(None, 0)
    parts = list(_head(report, only_safe=only_safe))
    room = MAX_BYTES - 1000 - len("".join(parts).encode())
    steps = 0
    for text, findings in reasons.items():
        part = "".join(_comments(findings)) + as_item(json.loads(text))
        room -= len(part.encode())
        if room < 0:
            break
        parts.append(part)
        steps += 1
    return FixPlaybook("".join(parts), steps, len(reasons) - steps)


def _head(report: AuditReport | CacheReport, *, only_safe: bool) -> Iterator[str]:
    which = "safe fixes of an audit" if only_safe else "advice of a look at the cache, each of it to be judged"
    yield f"# The {which}: look at `dbtune plan` of this file before `dbtune apply`.\n"
    yield f"# {one_line(report.target)}, {report.started_at:%Y-%m-%d %H:%M} UTC\n"
    yield f"version: 1\nname: {'audit-fixes' if only_safe else 'cache-advice'}-{report.started_at:%Y-%m-%d}\nsteps:\n"


def _comments(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"  # {finding.code} {finding.name}: {one_line(finding.object)}: {one_line(finding.message)}\n"


def as_item(step: dict[str, Any]) -> str:
    """One item of `steps`, indented. Names with braces are no templates."""
    import yaml

    written = yaml.safe_dump([_literal(step)], sort_keys=False, allow_unicode=True, width=1000)
    return "".join(f"  {line}\n" for line in written.splitlines())


def _literal(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _BRACES.sub(lambda match: "{{ '%s' }}" % match[0], value)  # noqa: UP031 - braces
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return value
