"""A table of which a large part is dead rows.

**Why it matters.** Every scan reads past them, indexes point to them, and the space is not used again until a vacuum
has passed.

**What to do.** Find out why vacuum does not keep up: an old transaction, a replication slot or a prepared transaction
that holds it back, autovacuum switched off for this table, or thresholds too high for its size. Then VACUUM it. For
large tables lower autovacuum_vacuum_scale_factor.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

LEAST_SHARE = 0.2
"""autovacuum_vacuum_scale_factor's default: where autovacuum would have come by itself."""
LEAST_DEAD_ROWS = 1_000
"""Our judgement: fewer fit a few pages."""
LARGE_DEAD_ROWS = 100_000


def is_mostly_dead(row: TableActivity) -> bool:
    """Whether this check reports the table, so that others need not."""
    total = row.dead_rows + row.live_rows
    return row.has_storage and row.dead_rows >= LEAST_DEAD_ROWS and row.dead_rows >= LEAST_SHARE * total


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Tables with LEAST_DEAD_ROWS dead rows which are LEAST_SHARE of all; a small table's are only information."""
    for row in rows:
        if not is_mostly_dead(row):
            continue
        share = row.dead_rows / (row.dead_rows + row.live_rows)
        when = "never" if row.vacuumed_s_ago is None else f"{format_duration(row.vacuumed_s_ago)} ago"
        yield CHECK.finding(
            row.full_name,
            f"{row.dead_rows:,} dead rows, {share:.0%} of all; vacuumed {when}"
            + ("; autovacuum is switched off for it" if row.autovacuum_is_off else ""),
            severity=CHECK.severity if row.dead_rows >= LARGE_DEAD_ROWS or row.autovacuum_is_off else "info",
            evidence={
                "dead_rows": row.dead_rows,
                "live_rows": row.live_rows,
                "dead_share": round(share, 3),
                "vacuumed_s_ago": row.vacuumed_s_ago,
            },
            fix=Fix(sql=(f"vacuum (analyze) {row.quoted};",)),
        )


CHECK = Check("PG011", "dead-rows", "warning", "audit_tables", TableActivity, judge)
