"""Transaction ids run out before the old ones are frozen.

**Why it matters.** When fewer than three million are left, PostgreSQL refuses every command that needs one: the
application is read-only until a vacuum has passed over the oldest tables.

**What to do.** Find what holds the oldest id: a long transaction, a prepared transaction (pg_prepared_xacts), a
replication slot (pg_replication_slots.xmin), a replica with hot_standby_feedback. End it, then VACUUM (FREEZE) the
tables that the finding names, oldest first. Let autovacuum work faster: autovacuum_vacuum_cost_limit, more memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.wraparound import FrozenAge, age_finding


def judge(rows: Sequence[FrozenAge], server: Audited) -> Verdicts:
    """Databases and tables whose oldest transaction id is far past the limit."""
    for row in rows:
        yield from age_finding(CHECK, row, row.age, row.freeze_max_age, "transaction ids")


CHECK = Check("PG015", "transaction-wraparound", "warning", "audit_wraparound", FrozenAge, judge)
