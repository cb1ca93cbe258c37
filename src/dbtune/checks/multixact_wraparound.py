"""Multixact ids run out before the old ones are frozen.

**Why it matters.** Rows that several transactions lock at once (foreign keys do that, and SELECT … FOR SHARE) get a
multixact id. They are 32 bits wide too, and when they run out, PostgreSQL refuses to make new ones: those locks fail.

**What to do.** VACUUM (FREEZE) the tables that the finding names. Long transactions hold the oldest multixact back.
Where it comes back, look for hot parent rows that many transactions lock at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.wraparound import FrozenAge, age_finding


def judge(rows: Sequence[FrozenAge], server: Audited) -> Verdicts:
    """Databases and tables whose oldest multixact is far past the limit."""
    for row in rows:
        yield from age_finding(CHECK, row, row.multixact_age, row.multixact_freeze_max_age, "multixact ids")


CHECK = Check("PG016", "multixact-wraparound", "warning", "audit_wraparound", FrozenAge, judge)
