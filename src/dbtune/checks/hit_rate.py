"""How often pages are found in the cache, over all tables of a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dbtune.checks.check import Check
from dbtune.core.findings import Finding

LEAST_ACCESSES = 100_000
"""Our judgement: 800 MB of page accesses; before that the first reads of every page decide the rate."""
SHOWN = 5


def rate_finding(
    check: Check, database: str, least_share: float, accesses: Mapping[str, tuple[int, int]]
) -> Iterable[Finding]:
    """`accesses` are hits and reads by table. Nothing below LEAST_ACCESSES in all, or at `least_share` and above."""
    hits = sum(hit for hit, _ in accesses.values())
    reads = sum(read for _, read in accesses.values())
    if hits + reads < LEAST_ACCESSES or hits / (hits + reads) >= least_share:
        return
    share = hits / (hits + reads)
    worst = sorted(((read, name) for name, (_, read) in accesses.items() if read), reverse=True)[:SHOWN]
    yield check.finding(
        database,
        f"{share:.1%} of {hits + reads:,} accesses were in the cache, fewer than {least_share:.0%};"
        f" most reads: {', '.join(name for _, name in worst)}",
        evidence={
            "hit_share": round(share, 4),
            "hit_blocks": hits,
            "read_blocks": reads,
            "most_reads": [
                {"table": name, "read_blocks": read, "hit_share": round(accesses[name][0] / sum(accesses[name]), 4)}
                for read, name in worst
            ],
        },
    )
