"""A plan that a person saved as JSON, looked at, and wants to be done as it stands."""

from __future__ import annotations

import json
from pathlib import Path

from dbtune.core.errors import Misused
from dbtune.playbook.model import Playbook

SCHEMA = "dbtune.plan/1"
Approved = tuple[tuple[str, str, tuple[str, ...]], ...]
"""(id, status, statements) of each step."""


def read_saved_plan(path: Path, playbook: Playbook) -> Approved:
    """Raises Misused when the file is no plan, or a plan of another playbook or of an earlier state of this one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema, digest = document["schema"], document["playbook_hash"]
        rows = tuple((step["id"], step["status"], tuple(step["sql"])) for step in document["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misused(
            f"{path} is not a saved plan: {error}", hint="dbtune plan … --format json --output FILE"
        ) from error
    if schema != SCHEMA:
        raise Misused(f"{path} holds {schema}, not {SCHEMA}", hint="dbtune plan … --format json --output FILE")
    if digest != playbook.hash:
        raise Misused(
            f"{path} was made of another state of {playbook.path}, or with other variables",
            hint="plan again, look at it, and apply that",
        )
    return tuple(row for row in rows if row[1] != "skipped")
