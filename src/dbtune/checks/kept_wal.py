"""A replication slot keeps back much of the log, or has lost what it needs.

**Why it matters.** The log that a slot keeps fills the disk: a full disk stops the server. Where a limit is set, the
slot is lost instead, and its replica or subscriber has to be made anew.

**What to do.** Find out why its reader is slow or absent. Set max_slot_wal_keep_size to what the disk can spare. A
lost slot can only be dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.slots import Slot
from dbtune.core.findings import Fix
from dbtune.core.units import format_size

LEAST_BYTES = 1 << 30
"""The default of max_wal_size: what the disk was planned for anyhow."""
MANY_BYTES = 50 << 30


def judge(rows: Sequence[Slot], server: Audited) -> Verdicts:
    """More than max_wal_size and LEAST_BYTES are kept, or the slot is lost or about to be."""
    for row in rows:
        kept = row.kept_bytes or 0
        in_danger = row.wal_status in ("unreserved", "lost")
        if not in_danger and kept < max(LEAST_BYTES, row.max_wal_bytes):
            continue
        yield CHECK.finding(
            row.name,
            _words(row, kept),
            severity="critical" if in_danger or (kept >= MANY_BYTES and row.unbounded) else "warning",
            evidence={
                "kept_bytes": row.kept_bytes,
                "wal_status": row.wal_status,
                "room_bytes": row.room_bytes,
                "unbounded": row.unbounded,
                "active": row.active,
            },
            fix=Fix(sql=(row.drop,)) if row.wal_status == "lost" else None,
        )


def _words(row: Slot, kept: int) -> str:
    if row.wal_status == "lost":
        return "the slot has lost the log that it needs: its reader has to be made anew"
    if row.wal_status == "unreserved":
        return f"the slot loses the log that it needs at the next checkpoint; it keeps {format_size(kept)}"
    return f"the slot keeps {format_size(kept)} of the log" + (", without a limit" if row.unbounded else "")


CHECK = Check("PG133", "kept-wal", "warning", "audit_slots", Slot, judge)
