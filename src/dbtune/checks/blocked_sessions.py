"""Sessions wait for a lock that another one holds.

**Why it matters.** Each waiting session is a request that hangs. A waiting ALTER TABLE stops everybody behind it, even
those who only read.

**What to do.** Look at the root of the tree: it holds the lock, and ends the waiting when it commits. If it is idle in
a transaction or forgotten, end it. Migrations should set lock_timeout and try again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.sessions import LONGEST_QUERY, end_session
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LEAST_S = 1.0
"""deadlock_timeout: what PostgreSQL itself takes for a long wait (log_lock_waits)."""
LONG_S = 60.0
DEEPEST = 20
"""Levels of the tree that a report shows."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that waits, or that another one waits for; pid 0 is a prepared transaction.

    `mode` and `target` (a table, or the kind of lock) say what it waits for; hidden columns are None or empty.
    """

    pid: int
    blockers: list[int]
    mode: str | None
    target: str | None
    role: str
    application: str
    state: str | None
    transaction_age_s: float | None
    waiting_s: float | None
    query: str


def judge(rows: Sequence[Waiting], server: Audited) -> Verdicts:
    """One finding for each session at the root of a tree in which somebody has waited for LEAST_S."""
    sessions = {row.pid: row for row in rows}
    waiters: defaultdict[int, list[Waiting]] = defaultdict(list)
    for row in rows:
        for blocker in set(row.blockers):
            waiters[blocker].append(row)
    for root in (row for row in rows if not row.blockers and waiters[row.pid]):
        below = _below(root.pid, waiters)
        longest_s = max((sessions[pid].waiting_s or 0.0 for pid in below), default=0.0)
        if longest_s < LEAST_S:
            continue
        yield CHECK.finding(
            "a prepared transaction" if root.pid == 0 else f"pid {root.pid} ({root.role})",
            f"blocks {len(below)} session{'s' if len(below) > 1 else ''}, for {format_duration(longest_s)}"
            f" at the longest; it is {root.state or 'of a state that is hidden'}",
            severity="critical" if longest_s >= LONG_S else "warning",
            evidence={
                "blocked": len(below),
                "longest_wait_s": round(longest_s, 3),
                "tree": _tree(root, waiters, frozenset()),
            },
            fix=None if root.pid == 0 else Fix(sql=(end_session(root.pid),)),
        )


def _below(root: int, waiters: Mapping[int, Sequence[Waiting]]) -> frozenset[int]:
    """Everybody who waits for `root`, directly or behind others."""
    found: set[int] = set()
    heads = [root]
    while heads:
        new = {row.pid for row in waiters.get(heads.pop(), ())} - found
        found |= new
        heads += new
    return frozenset(found - {root})


def _tree(row: Waiting, waiters: Mapping[int, Sequence[Waiting]], above: frozenset[int]) -> dict[str, Any]:
    """The session and, below `blocks`, those that wait for it. One who waits for two stands under both."""
    above |= {row.pid}
    children = [child for child in waiters.get(row.pid, ()) if child.pid not in above] if len(above) < DEEPEST else []
    return {
        "pid": row.pid,
        "role": row.role,
        "application": row.application,
        "state": row.state,
        "waits_for": None if row.mode is None else f"{row.mode} on {row.target}",
        "waiting_s": None if row.waiting_s is None else round(row.waiting_s, 3),
        "transaction_age_s": None if row.transaction_age_s is None else round(row.transaction_age_s, 3),
        "query": row.query[:LONGEST_QUERY],
        "blocks": [_tree(child, waiters, above) for child in children],
    }


CHECK = Check("PG127", "blocked-sessions", "warning", "audit_blocking", Waiting, judge)
