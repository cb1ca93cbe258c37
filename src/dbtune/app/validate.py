"""Checks playbooks without a server."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from dbtune.core.errors import InvalidPlaybook
from dbtune.core.validation import CheckedFile, ValidationReport
from dbtune.playbook.load import load


def validate(paths: Iterable[Path], variables: Mapping[str, str]) -> ValidationReport:
    """Load every file; one that is invalid keeps none of the others from being checked."""
    started_at, start = datetime.now(UTC), time.monotonic()
    files = tuple(_check(path, variables) for path in paths)
    return ValidationReport(started_at, time.monotonic() - start, files)


def _check(path: Path, variables: Mapping[str, str]) -> CheckedFile:
    try:
        playbook = load(path, variables=variables)
    except InvalidPlaybook as invalid:
        return CheckedFile(str(path), problems=invalid.problems, hint=invalid.hint)
    disabled = sum(not step.enabled for step in playbook.steps)
    return CheckedFile(str(path), playbook.name, len(playbook.steps), disabled)
