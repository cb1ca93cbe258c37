"""An index that takes much more room than its entries need (an estimate from statistics).

**Why it matters.** Empty space is read, cached and backed up like the rest. It stays when many rows were deleted or
updated, since pages are given back only when they are wholly empty.

**What to do.** Measure it with `select * from pgstatindex('…')` of the extension pgstattuple, then REINDEX INDEX
CONCURRENTLY. The estimate takes average column widths and the number of entries of the last ANALYZE or VACUUM, and
starts from pages that are 69 % full, which is what a B-tree with entries in random order settles at: only what goes
beyond is called bloat. Deduplicated indexes are smaller than estimated, so bloat in them can go unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.index_widths import IndexWidths, unreadable
from dbtune.core.findings import Fix
from dbtune.core.identifiers import quote
from dbtune.core.units import format_size

SETTLED_FILL = 0.69
"""ln 2: the average fill of a B-tree under random inserts (Yao, "On random 2-3 trees", 1978)."""
MOST_WASTED_BYTES = 100 << 20
"""PgHero's limit; from here on it is a warning."""
MOST_WASTED_SHARE = 0.1
"""pg-index-health's limit, here beyond what is usual; below MOST_WASTED_BYTES only information."""


def judge(rows: Sequence[IndexWidths], server: Audited) -> Verdicts:
    """Indexes beyond their usual size by MOST_WASTED_SHARE of it; a warning when MOST_WASTED_BYTES could be had."""
    for row in rows:
        usual_bytes = row.expected_bytes(SETTLED_FILL)
        wasted_bytes = row.size_bytes - row.expected_bytes(row.fillfactor / 100)
        if not row.is_known or row.entries <= 0 or row.size_bytes - usual_bytes < MOST_WASTED_SHARE * row.size_bytes:
            continue
        share = wasted_bytes / row.size_bytes
        yield CHECK.finding(
            f"{row.schema}.{row.name}",
            f"about {format_size(wasted_bytes)} of {format_size(row.size_bytes)} ({share:.0%}) on {row.table} is empty",
            severity=CHECK.severity if wasted_bytes >= MOST_WASTED_BYTES else "info",
            evidence={
                "size_bytes": row.size_bytes,
                "wasted_bytes": wasted_bytes,
                "wasted_share": round(share, 3),
                "entries": int(row.entries),
                "definition": row.definition,
            },
            fix=Fix(sql=(f"reindex index concurrently {quote(row.schema, row.name)};",)),
            confidence="heuristic",
        )
    if missing := unreadable(rows, CHECK.code):
        yield missing


CHECK = Check("PG005", "bloated-index", "warning", "audit_index_widths", IndexWidths, judge)
