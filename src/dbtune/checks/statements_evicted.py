"""pg_stat_statements is too small: it forgets statements to make room for others.

**Why it matters.** What is forgotten is missing from every report, and each eviction throws away the least used
twentieth at once and holds a lock that all sessions want. Totals, shares and comparisons rest on what is left.

**What to do.** Raise pg_stat_statements.max (a restart; some 10 kB of memory an entry at most). Where the entries are
variants of one statement, let the application use parameters instead of constants in names and lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.statement_totals import StatementTotals
from dbtune.core.findings import Fix
from dbtune.core.units import format_duration

FULL_SHARE = 0.95
"""From here on the next eviction is near; each one frees 5 % (USAGE_DEALLOC_PERCENT in pg_stat_statements.c)."""
MOST_ENTRIES = 50_000


def judge(rows: Sequence[StatementTotals], server: Audited) -> Verdicts:
    """Evictions since the reset: a warning. Nearly full, or not counted (before extension 1.9): information."""
    for totals in rows:
        if totals.entries_max is None:
            continue
        full = totals.entries >= FULL_SHARE * totals.entries_max
        if not totals.dealloc and not full:
            continue
        enough = min(totals.entries_max * 2, MOST_ENTRIES)
        yield CHECK.finding(
            "pg_stat_statements",
            _words(totals),
            severity="warning" if totals.dealloc else "info",
            evidence={
                "entries": totals.entries,
                "entries_max": totals.entries_max,
                "evictions": totals.dealloc,
                "age_s": totals.age_s,
            },
            fix=_larger(enough) if enough > totals.entries_max else None,
        )


def _words(totals: StatementTotals) -> str:
    room = f"{totals.entries} of {totals.entries_max} entries are taken"
    if not totals.dealloc:
        return room
    since = "" if totals.age_s is None else f" in {format_duration(totals.age_s)}"
    return f"statements were evicted {totals.dealloc} times{since}; {room}"


def _larger(entries: int) -> Fix:
    return Fix(
        sql=(f"alter system set pg_stat_statements.max = {entries}; -- takes effect at a restart",),
        step={"setting": {"name": "pg_stat_statements.max", "value": entries, "scope": "system"}},
    )


CHECK = Check(
    "PG108",
    "statements-evicted",
    "warning",
    "audit_statements",
    StatementTotals,
    judge,
    source="totals",
    needs="pg_stat_statements",
)
