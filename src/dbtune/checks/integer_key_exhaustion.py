"""A smallint or integer primary key whose values, given by the application, come near the end of their type.

**Why it matters.** The next value that does not fit is an error, and with it every insert. Keys that a sequence feeds
are looked at by the check `sequence-exhaustion`.

**What to do.** Turn the column, and those that refer to it, into bigint in time. ALTER COLUMN … TYPE rewrites the
table under a lock that blocks everybody: for a large table add a bigint column, keep it filled by a trigger, fill old
rows in batches, build its unique index CONCURRENTLY and swap the two. The largest value is the one that the last
ANALYZE saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix, Unexamined
from dbtune.core.identifiers import quote

LEAST_SHARE = 0.75
LEAST_SHARE_CRITICAL = 0.9
"""As for sequences."""
LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1}


@dataclass(frozen=True, slots=True)
class IntegerKey:
    """One primary key. `largest` is the end of the planner's histogram, None without statistics."""

    schema: str
    table: str
    column: str
    type: str
    rows: int
    readable: bool
    largest: int | None


def judge(rows: Sequence[IntegerKey], server: Audited) -> Verdicts:
    """Keys of which LEAST_SHARE is used, and a word about those whose statistics are hidden."""
    for row in rows:
        limit = LARGEST[row.type]
        if row.largest is None or row.largest < LEAST_SHARE * limit:
            continue
        share = row.largest / limit
        yield CHECK.finding(
            f"{row.schema}.{row.table}.{row.column}",
            f"{share:.1%} used: the largest value of this {row.type} was {row.largest} at the last ANALYZE",
            severity="critical" if share > LEAST_SHARE_CRITICAL else CHECK.severity,
            evidence={"used_share": round(share, 4), "largest": row.largest, "limit": limit, "rows": row.rows},
            fix=Fix(
                sql=(f"alter table {quote(row.schema, row.table)} alter column {quote(row.column)} type bigint;",),
            ),
        )
    hidden = sum(not row.readable for row in rows)
    if hidden:
        yield Unexamined(
            CHECK.code,
            f"this role may not read the statistics of {hidden} of {len(rows)} integer keys",
            "grant SELECT on the tables (from 14: the role pg_read_all_data), which pg_stats asks for",
        )


CHECK = Check("PG021", "integer-key-exhaustion", "warning", "audit_integer_keys", IntegerKey, judge)
