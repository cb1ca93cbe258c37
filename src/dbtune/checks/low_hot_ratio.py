"""A table that is updated a lot, of whose updates almost none are heap-only.

**Why it matters.** An update that is not heap-only (HOT) writes a new entry into every index of the table, and leaves
an old one in each for vacuum.

**What to do.** Updates are heap-only when no indexed column changes and the page has room. So: drop indexes on columns
that change with every update (`updated_at`, counters) if nobody needs them, and leave room with a lower fillfactor,
which counts for new pages (existing ones after a VACUUM FULL or pg_repack).
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.findings import Fix

LEAST_HOT_SHARE = 0.1
"""The limit of the health checks in use (HOT < 10 %)."""
LEAST_UPDATES = 10_000
"""Our judgement: fewer updates cost too little."""
FILLFACTOR = 85
FULL = 100


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Tables with LEAST_UPDATES of which less than LEAST_HOT_SHARE were heap-only; without an index all can be."""
    for row in rows:
        if row.updates < LEAST_UPDATES or not row.index_count or row.hot_updates >= LEAST_HOT_SHARE * row.updates:
            continue
        share = row.hot_updates / row.updates
        fillfactor = int(row.option("fillfactor") or FULL)
        yield CHECK.finding(
            row.full_name,
            f"{share:.1%} of {row.updates:,} updates were heap-only; {row.index_count} indexes,"
            f" fillfactor {fillfactor}",
            evidence={
                "hot_share": round(share, 4),
                "updates": row.updates,
                "hot_updates": row.hot_updates,
                "indexes": row.index_count,
                "fillfactor": fillfactor,
            },
            fix=Fix(sql=(f"alter table {row.quoted} set (fillfactor = {FILLFACTOR});",))
            if fillfactor > FILLFACTOR
            else None,
        )


CHECK = Check("PG014", "low-hot-ratio", "info", "audit_tables", TableActivity, judge)
