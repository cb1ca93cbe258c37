"""Nobody reads from a replication slot.

**Why it matters.** The server keeps all of its log for the slot's reader, until the disk is full and the server
stops. A slot also keeps vacuum from removing dead rows.

**What to do.** If the reader will come back, bring it back. If it is gone for good, drop the slot. A limit
(max_slot_wal_keep_size) lets the slot be lost rather than the server.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.slots import Slot
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration, format_size

LEAST_S = 300.0
"""A reader that restarts is back within minutes; before 17 nobody knows since when it is gone."""


def judge(rows: Sequence[Slot], server: Audited) -> Verdicts:
    """Inactive for LEAST_S or for an unknown time; a lost one is kept-wal's. Without log kept it is information."""
    for row in rows:
        if row.active or row.temporary or row.wal_status == "lost":
            continue
        if row.inactive_s is not None and row.inactive_s < LEAST_S:
            continue
        since = "" if row.inactive_s is None else f" for {format_duration(row.inactive_s)}"
        yield CHECK.finding(
            row.name,
            f"nobody has read from this {row.kind} slot{since}; it keeps {format_size(row.kept_bytes or 0)} of the log",
            severity=CHECK.severity if row.kept_bytes else "info",
            evidence={
                "kind": row.kind,
                "inactive_s": row.inactive_s,
                "kept_bytes": row.kept_bytes,
                "xmin_age": row.xmin_age,
                "wal_status": row.wal_status,
            },
            fix=Fix(sql=(row.drop,)),
        )


CHECK = Check("PG132", "inactive-slot", "warning", "audit_slots", Slot, judge)
