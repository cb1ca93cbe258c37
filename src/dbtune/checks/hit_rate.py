"""How often pages are found in the cache, over all tables of a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dbtune.checks.check import Check
from dbtune.core.findings import Finding

LEAST_ACCESSES = 100_000
"""Our judgement: 800 MB of page accesses; before that the first reads of every page decide the rate."""


@dataclass(frozen=True, slots=True)
class PageHits:
    """`hits` and `reads` are those of all tables, or of all indexes; `table_…` those of one of the worst.

    One row for each of the worst tables, the worst first; a single one without a table where hardly anything was read.
    """

    is_index: bool
    hits: int
    reads: int
    schema: str | None
    table: str | None
    table_reads: int | None
    table_hits: int | None


def rate_finding(check: Check, database: str, least_share: float, rows: Sequence[PageHits]) -> Iterable[Finding]:
    """`rows` are of tables, or of indexes. Nothing below LEAST_ACCESSES in all, or at `least_share` and above."""
    if not rows:
        return
    hits, reads = rows[0].hits, rows[0].reads
    if hits + reads < LEAST_ACCESSES or hits / (hits + reads) >= least_share:
        return
    share = hits / (hits + reads)
    worst = [(f"{row.schema}.{row.table}", row.table_reads or 0, row.table_hits or 0) for row in rows if row.table]
    yield check.finding(
        database,
        f"{share:.1%} of {hits + reads:,} accesses were in the cache, fewer than {least_share:.0%};"
        f" most reads: {', '.join(name for name, _, _ in worst)}",
        evidence={
            "hit_share": round(share, 4),
            "hit_blocks": hits,
            "read_blocks": reads,
            "most_reads": [
                {"table": name, "read_blocks": read, "hit_share": round(hit / (hit + read), 4)}
                for name, read, hit in worst
            ],
        },
    )
