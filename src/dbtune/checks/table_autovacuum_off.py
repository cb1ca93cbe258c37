"""A table for which autovacuum is switched off.

**Why it matters.** Dead rows pile up, statistics grow stale, and its transaction ids are frozen only when the server
has no choice any more, at the worst of times.

**What to do.** Switch it on again; if it once disturbed a load, give the table thresholds of its own instead. It is
right for a table that a job fills, analyzes and empties by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.findings import Fix

OPTION = "autovacuum_enabled"


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """All of them."""
    for row in rows:
        if not row.autovacuum_is_off:
            continue
        yield CHECK.finding(
            row.full_name,
            f"{OPTION} is {row.option(OPTION)}; {row.dead_rows:,} dead rows, {row.modified:,} changes since ANALYZE",
            evidence={"dead_rows": row.dead_rows, "changed_rows": row.modified, "rows": row.rows},
            fix=Fix(sql=(f"alter table {row.quoted} reset ({OPTION});",)),
        )


CHECK = Check("PG023", "table-autovacuum-off", "warning", "audit_tables", TableActivity, judge)
