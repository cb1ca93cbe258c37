"""An index that a failed CONCURRENTLY left behind: no query uses it, and every write may still pay for it.

**Why it matters.** It takes space and slows writes without serving anybody; an invalid unique index guards nothing.

**What to do.** After CREATE INDEX CONCURRENTLY failed, REINDEX INDEX CONCURRENTLY finishes the work, once the cause is
gone (duplicates, a time-out); or drop it. What REINDEX CONCURRENTLY leaves is
called `…_ccnew` (the unfinished copy: drop it, repeat the REINDEX) or `…_ccold` (the old one after a success: drop
it). Indexes that somebody is building right now are left alone. An index of a partitioned table is invalid as long
as a partition lacks its part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.index_usage import IndexUsage
from dbtune.core.findings import Fix
from dbtune.core.identifiers import quote
from dbtune.core.units import format_size

LEFT_OVER = re.compile(r"_cc(new|old)\d*$")
"""The names that REINDEX CONCURRENTLY gives (PostgreSQL's documentation of REINDEX)."""


def judge(rows: Sequence[IndexUsage], server: Audited) -> Verdicts:
    """Every index that cannot be used and is not being built."""
    for row in rows:
        if row.usable or row.being_built:
            continue
        left_over = LEFT_OVER.search(row.name)
        what = f"left over by REINDEX CONCURRENTLY ({left_over[0]})" if left_over else "not valid"
        if row.is_partitioned:
            what = "not valid: a partition lacks its part of it"
        yield CHECK.finding(
            row.full_name,
            f"{what}, {format_size(row.size_bytes)} on {row.table}: no query uses it",
            severity="info" if row.is_partitioned else CHECK.severity,
            evidence={"size_bytes": row.size_bytes, "definition": row.definition, "left_over": left_over is not None},
            fix=_fix(row, rebuild=left_over is None),
        )


def _fix(row: IndexUsage, *, rebuild: bool) -> Fix | None:
    if row.is_partitioned:
        return None
    name = quote(row.schema, row.name)
    if row.constraint_name is not None:
        return Fix(sql=(f"reindex index concurrently {name};",))
    # A leftover's twin still stands: building it again is not wanted.
    return Fix(sql=(f"reindex index concurrently {name};" if rebuild else f"drop index concurrently {name};",))


CHECK = Check("PG004", "invalid-index", "warning", "audit_indexes", IndexUsage, judge)
