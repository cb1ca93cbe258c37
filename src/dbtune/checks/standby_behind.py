"""The server is a replica, and behind its primary or stopped.

**Why it matters.** Whoever reads here sees old data, and a switch to this server loses time to catch up, or data.

**What to do.** `select pg_wal_replay_resume()` where replay is paused. Otherwise look at long queries here, which
replay waits for (max_standby_streaming_delay), and whether the receiver runs (pg_stat_wal_receiver, the log).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration, format_size

LEAST_BYTES = 16 << 20
"""One segment of the log: less is on its way."""
MANY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Standby:
    """`unreplayed_bytes` are received and not replayed; None: nothing was received by streaming."""

    unreplayed_bytes: int | None
    last_replayed_s: float | None
    paused: bool


def judge(rows: Sequence[Standby], server: Audited) -> Verdicts:
    """No row on a primary. Time alone says nothing: a primary without writes sends nothing to replay."""
    for row in rows:
        size = row.unreplayed_bytes or 0
        if not row.paused and size < LEAST_BYTES:
            continue
        since = (
            "" if row.last_replayed_s is None else f"; the last replayed is {format_duration(row.last_replayed_s)} old"
        )
        yield CHECK.finding(
            "replay",
            f"{'replay is paused, ' if row.paused else ''}{format_size(size)} of the log are not replayed{since}",
            severity="critical" if size >= MANY_BYTES else "warning",
            evidence={"unreplayed_bytes": size, "last_replayed_s": row.last_replayed_s, "paused": row.paused},
            fix=Fix(sql=("select pg_wal_replay_resume();",)) if row.paused else None,
        )


CHECK = Check("PG135", "standby-behind", "warning", "audit_standby", Standby, judge)
