"""The log does not reach its archive.

**Why it matters.** Without it, no backup can be rolled forward past the last file that arrived. The server keeps each
file until it is archived, until the disk is full.

**What to do.** The server's log has the words of archive_command. Test it by hand as the server's account; look at
the space, the rights and the network of its destination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.units import format_duration


@dataclass(frozen=True, slots=True)
class Archiver:
    """pg_stat_archiver, where archive_mode is on; ages are None for what never happened."""

    failures: int
    last_failed_wal: str | None
    last_failure_s: float | None
    last_success_s: float | None


def judge(rows: Sequence[Archiver], server: Audited) -> Verdicts:
    """The last attempt failed; earlier failures that were made good are none."""
    for row in rows:
        if row.last_failure_s is None or (row.last_success_s is not None and row.last_success_s < row.last_failure_s):
            continue
        good = "never" if row.last_success_s is None else f"{format_duration(row.last_success_s)} ago"
        yield CHECK.finding(
            "archive",
            f"archiving {row.last_failed_wal} failed {format_duration(row.last_failure_s)} ago; it last worked {good}",
            evidence={
                "failures": row.failures,
                "last_failed_wal": row.last_failed_wal,
                "last_failure_s": round(row.last_failure_s, 1),
                "last_success_s": row.last_success_s,
            },
        )


CHECK = Check("PG134", "archiver-failing", "critical", "audit_archiver", Archiver, judge)
