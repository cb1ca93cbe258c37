"""Checkpoints come because the log is full, not because it is time.

**Why it matters.** After each checkpoint the first change to a page writes the whole page to the log. Checkpoints in
quick succession multiply the log, and their writes come in bursts that slow down everything else.

**What to do.** Raise max_wal_size until most checkpoints are timed; it takes disk space for the log, and a longer
recovery after a crash, but no restart. Bulk loads and CHECKPOINT by hand request them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import advise
from dbtune.core.units import format_duration, format_size

LEAST_REQUESTED = 10
"""Each base backup, shutdown and CHECKPOINT is a request, too: a few of them mean nothing."""
MOST_SHARE = 0.5
"""The documentation ("WAL Configuration") wants requested ones to be the exception."""
LARGEST_BYTES = 64 << 30


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Counts since the statistics began, `age_s` ago."""

    timed: int
    requested: int
    age_s: float
    max_wal_bytes: int
    timeout_s: float


def judge(rows: Sequence[Checkpoints], server: Audited) -> Verdicts:
    """More than half are requested, and those came more often than checkpoint_timeout asks for."""
    for row in rows:
        total = row.timed + row.requested
        if row.requested < LEAST_REQUESTED or row.requested < MOST_SHARE * total:
            continue
        every_s = row.age_s / row.requested
        if every_s > row.timeout_s:
            continue
        wanted = min(row.max_wal_bytes * 4, LARGEST_BYTES)
        yield CHECK.finding(
            "checkpoints",
            f"{row.requested} of {total} checkpoints were requested, one every {format_duration(every_s)};"
            f" max_wal_size is {format_size(row.max_wal_bytes)}",
            evidence={
                "requested": row.requested,
                "timed": row.timed,
                "requested_every_s": round(every_s, 1),
                "max_wal_bytes": row.max_wal_bytes,
                "checkpoint_timeout_s": row.timeout_s,
            },
            fix=advise("max_wal_size", f"{wanted >> 20}MB", scope="system") if wanted > row.max_wal_bytes else None,
        )


CHECK = Check("PG152", "checkpoints-requested", "warning", "audit_checkpoints", Checkpoints, judge)
