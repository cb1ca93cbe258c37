"""What the journal of a database says."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal, cast

from dbtune.app.workspace import Workspace
from dbtune.core.reports import HistoryReport, RunEntry


def read_history(workspace: Workspace, most: int) -> HistoryReport:
    """The newest `most` runs; none where dbtune never changed anything."""
    started_at, clock = datetime.now(UTC), time.monotonic()
    journal = workspace.readable_journal()
    runs = journal.runs(most) if journal else ()
    entries = tuple(
        RunEntry(
            run_id=run.run_id,
            playbook=run.playbook,
            command=cast("Literal['apply', 'rollback']", run.command),
            status=run.status,
            started_at=run.started_at,
            ended_at=run.ended_at,
            user=run.role,
            steps=run.steps,
        )
        for run in runs
    )
    return HistoryReport(workspace.target, started_at, time.monotonic() - clock, entries)
