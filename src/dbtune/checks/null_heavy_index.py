"""An index on a column that is mostly null.

**Why it matters.** Nulls are entries too. Where queries ask for values only, half of the index or more is dead weight
that every insert of a null still pays for.

**What to do.** Replace it by a partial index, `where column is not null`: a condition such as `column = $1` implies
that, so the planner uses it. Keep the full one if queries ask for `is null` or sort by the column.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.index_widths import IndexWidths, unreadable
from dbtune.core.findings import Fix
from dbtune.core.identifiers import quote, shorten
from dbtune.core.units import format_size

LEAST_NULL_SHARE = 0.5
"""pg-extras' and pg-index-health's limit."""


def judge(rows: Sequence[IndexWidths], server: Audited) -> Verdicts:
    """Whole, plain indexes with one key of which LEAST_NULL_SHARE and more is null."""
    singles = [row for row in rows if row.key_count == 1 and not row.is_partial and not row.guards_data]
    for row in singles:
        if row.null_share < LEAST_NULL_SHARE or row.first_column is None:
            continue
        yield CHECK.finding(
            f"{row.schema}.{row.name}",
            f"{row.null_share:.0%} of {row.first_column} is null, {format_size(row.size_bytes)} on {row.table}",
            evidence={
                "null_share": round(row.null_share, 3),
                "size_bytes": row.size_bytes,
                "definition": row.definition,
            },
            fix=None if row.is_attached else Fix(sql=_replacement(row, row.first_column)),
        )
    if missing := unreadable(singles, CHECK.code):
        yield missing


def _replacement(row: IndexWidths, column: str) -> tuple[str, ...]:
    """The same index with a predicate, under another name, then the drop of the old one."""
    start = f"CREATE INDEX {row.written_name} ON "
    name = quote(shorten(row.name, "_not_null"))
    rest = row.definition.removeprefix(start)
    return (
        f"create index concurrently {name} on {rest} where {quote(column)} is not null;",
        f"drop index concurrently {quote(row.schema, row.name)};",
    )


CHECK = Check("PG006", "null-heavy-index", "info", "audit_index_widths", IndexWidths, judge)
