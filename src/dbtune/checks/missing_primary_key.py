"""A table without a primary key.

**Why it matters.** The same row can be there twice, and nobody can name one of the two. Logical replication cannot
publish updates and deletes of it; ORMs, change capture and tools such as pg_repack ask for a key.

**What to do.** Declare one. Where a unique index over columns that are not null exists, it becomes the primary key
without being built again. A table that only takes in rows to be moved on may do without.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.table_activity import TableActivity
from dbtune.core.findings import Fix
from dbtune.core.identifiers import quote

SMALL_ROWS = 1_000
"""Our judgement: such tables are often scratch; the finding is only information."""
PERMANENT = "p"


def judge(rows: Sequence[TableActivity], server: Audited) -> Verdicts:
    """Permanent tables, partitioned ones for all of their partitions."""
    for row in rows:
        if row.kind == "m" or row.is_partition or row.persistence != PERMANENT or row.has_primary_key:
            continue
        is_small = row.kind == "r" and row.rows < SMALL_ROWS
        candidate = f"; the unique index {row.candidate_key} could be it" if row.candidate_key else ""
        yield CHECK.finding(
            row.full_name,
            f"no primary key, {row.rows:,} rows{candidate}",
            severity="info" if is_small else CHECK.severity,
            evidence={"rows": row.rows, "candidate_index": row.candidate_key, "writes": row.writes},
            fix=_fix(row),
        )


def _fix(row: TableActivity) -> Fix | None:
    if row.candidate_key is None or row.kind != "r":
        return None
    return Fix(sql=(f"alter table {row.quoted} add primary key using index {quote(row.candidate_key)};",))


CHECK = Check("PG020", "missing-primary-key", "warning", "audit_tables", TableActivity, judge)
