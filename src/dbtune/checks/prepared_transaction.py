"""A transaction was prepared for a two-phase commit, and nobody has finished it.

**Why it matters.** It holds its locks and keeps vacuum from removing dead rows, through every restart, until somebody
commits or rolls it back. At last it makes the server run out of transaction ids.

**What to do.** Ask the transaction manager that prepared it what became of it, then commit or roll it back by hand.
Where nobody uses two-phase commits on purpose, set max_prepared_transactions to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LEAST_S = 60.0
"""A transaction manager finishes within seconds."""
FORGOTTEN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """One row of pg_prepared_xacts."""

    name: str
    role: str
    database: str
    age_s: float


def judge(rows: Sequence[Prepared], server: Audited) -> Verdicts:
    """Younger than LEAST_S: nothing yet. From FORGOTTEN_S on: critical."""
    for row in rows:
        if row.age_s < LEAST_S:
            continue
        literal = row.name.replace("'", "''")
        yield CHECK.finding(
            row.name,
            f"prepared {format_duration(row.age_s)} ago in {row.database} by {row.role}, and never finished",
            severity="critical" if row.age_s >= FORGOTTEN_S else "warning",
            evidence={"age_s": round(row.age_s, 1), "role": row.role, "database": row.database},
            fix=Fix(sql=(f"rollback prepared '{literal}'; -- or commit prepared, in database {row.database}",)),
        )


CHECK = Check("PG126", "prepared-transaction", "warning", "audit_prepared", Prepared, judge)
