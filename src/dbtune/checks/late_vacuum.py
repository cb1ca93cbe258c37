"""A table that autovacuum should have vacuumed by its own rules, and has not.

**Why it matters.** Autovacuum falls behind: its workers are busy elsewhere, are slowed down too much, are cancelled by
locks, or are switched off. Without vacuum, dead rows stay, index-only scans look into the table, and old transaction
ids are not frozen.

**What to do.** VACUUM the table; then look at autovacuum_max_workers, autovacuum_vacuum_cost_limit and
autovacuum_vacuum_cost_delay, and at long transactions.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.dead_rows import is_mostly_dead
from dbtune.checks.table_activity import TableActivity
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LATE = 2.0
"""Our judgement: at twice the threshold autovacuum has had its chance (it looks once in autovacuum_naptime, 1 min)."""
LEAST_ROWS = 1_000
LEAST_AGE_S = 3600.0
"""A vacuum within the last hour is not late; it may have run beside the changes."""


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Tables beyond LATE times their thresholds; those that `dead-rows` reports are left to it."""
    for row in rows:
        if not row.has_storage or is_mostly_dead(row) or row.rows < LEAST_ROWS:
            continue
        if row.vacuumed_s_ago is not None and row.vacuumed_s_ago < LEAST_AGE_S:
            continue
        most_inserts = row.inserts_for_vacuum
        is_late = row.dead_rows > LATE * row.dead_rows_for_vacuum
        if not is_late and (most_inserts is None or row.inserted_since_vacuum <= LATE * most_inserts):
            continue
        when = "never" if row.vacuumed_s_ago is None else f"{format_duration(row.vacuumed_s_ago)} ago"
        yield CHECK.finding(
            row.full_name,
            f"vacuumed {when}; since then {row.dead_rows:,} rows died and {row.inserted_since_vacuum:,} were inserted"
            f" (autovacuum comes at {row.dead_rows_for_vacuum:,.0f} and {most_inserts or 0:,.0f})",
            evidence={
                "vacuumed_s_ago": row.vacuumed_s_ago,
                "dead_rows": row.dead_rows,
                "dead_rows_threshold": row.dead_rows_for_vacuum,
                "inserted_rows": row.inserted_since_vacuum,
                "inserted_rows_threshold": most_inserts,
            },
            fix=Fix(sql=(f"vacuum (analyze) {row.quoted};",)),
        )


CHECK = Check("PG012", "late-vacuum", "info", "audit_tables", TableActivity, judge)
