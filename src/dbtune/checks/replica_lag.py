"""A replica follows far behind.

**Why it matters.** Who reads there sees old data; if the primary fails now, what the replica does not have is lost;
and the primary keeps the log for it.

**What to do.** A replica that is slow to replay is busy with queries of its own (max_standby_streaming_delay), on a
slower disk, or single-threaded behind many writers. One that is slow to receive has a slow network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Unexamined
from dbtune.core.units import format_duration, format_size

LEAST_BYTES = 16 << 20
"""One segment of the log: less is on its way."""
MANY_BYTES = 1 << 30
LEAST_S = 30.0
LONG_S = 300.0


@dataclass(frozen=True, slots=True)
class Replica:
    """One row of pg_stat_replication; None where it is hidden. `behind_s` is replay_lag: None when it caught up."""

    pid: int
    name: str
    state: str | None
    sync_state: str | None
    behind_bytes: int | None
    behind_s: float | None


def judge(rows: Sequence[Replica], server: Audited) -> Verdicts:
    """Behind by LEAST_BYTES or LEAST_S, as the server that it follows sees it."""
    for row in rows:
        if row.state is None:
            yield Unexamined(CHECK.code, f"how far {row.name} is behind is hidden", "grant pg_monitor to this role")
            continue
        size, lag_s = row.behind_bytes or 0, row.behind_s or 0.0
        if row.state == "backup" or (size < LEAST_BYTES and lag_s < LEAST_S):
            continue
        words = [format_size(size)] + ([format_duration(lag_s)] if lag_s else [])
        yield CHECK.finding(
            row.name,
            f"is {' and '.join(words)} behind ({row.state}, {row.sync_state})",
            severity="critical" if size >= MANY_BYTES or lag_s >= LONG_S else "warning",
            evidence={
                "behind_bytes": size,
                "behind_s": row.behind_s,
                "state": row.state,
                "sync_state": row.sync_state,
                "pid": row.pid,
            },
        )


CHECK = Check("PG131", "replica-lag", "warning", "audit_replicas", Replica, judge)
