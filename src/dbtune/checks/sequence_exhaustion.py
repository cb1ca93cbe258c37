"""A sequence near its end, or near the end of the column that it feeds.

**Why it matters.** When it is used up, every insert fails: nextval reaches its maximum, or the number no longer fits
into the smallint or integer column.

**What to do.** Turn the column into bigint before that. ALTER COLUMN … TYPE rewrites the table under a lock that
blocks everybody: for a large table add a bigint column, keep it filled by a trigger, fill old rows in batches, build
its unique index CONCURRENTLY and swap the two. Columns that refer to it have to follow. A sequence made with a
smaller type needs `alter sequence … as bigint` as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix, Unexamined
from dbtune.core.identifiers import quote

LEAST_SHARE = 0.75
"""Our judgement: time enough to rebuild a large table."""
LEAST_SHARE_CRITICAL = 0.9
"""The limit of the health checks in use (sequence > 90 % used)."""
COLUMN_LIMITS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}


@dataclass(frozen=True, slots=True)
class SequenceUse:
    """One sequence. `last_value` is None when it was never used, or not `readable`; `fed_…` is the column it feeds."""

    schema: str
    name: str
    increment: int
    least: int
    most: int
    cycles: bool
    readable: bool
    last_value: int | None
    fed_schema: str | None
    fed_table: str | None
    fed_column: str | None
    fed_type: str | None

    @property
    def limit(self) -> int:
        """The last number that both the sequence and the column can take, in the sequence's direction."""
        size = COLUMN_LIMITS.get(self.fed_type or "", 2**63)
        return min(self.most, size - 1) if self.increment > 0 else max(self.least, -size)

    @property
    def share(self) -> float:
        """How much of the way from its start to the limit has been gone (0 to 1)."""
        if self.last_value is None:
            return 0.0
        start = self.least if self.increment > 0 else self.most
        return (self.last_value - start) / (self.limit - start) if self.limit != start else 1.0

    @property
    def starts_over(self) -> bool:
        """CYCLE, and the column takes all it gives."""
        return self.cycles and self.limit in (self.least, self.most)


def judge(rows: Sequence[SequenceUse], server: Audited) -> Verdicts:
    """Sequences of which LEAST_SHARE is used, and a word about those that the role may not read."""
    for row in rows:
        if row.share < LEAST_SHARE or row.starts_over or row.last_value is None:
            continue
        fed = f"{row.fed_schema}.{row.fed_table}.{row.fed_column}" if row.fed_column else None
        feeds = f", feeds {row.fed_type} {fed}" if fed else ""
        yield CHECK.finding(
            f"{row.schema}.{row.name}",
            f"{row.share:.1%} used: {row.last_value} of {row.limit}{feeds}",
            severity="critical" if row.share > LEAST_SHARE_CRITICAL else CHECK.severity,
            evidence={
                "used_share": round(row.share, 4),
                "last_value": str(row.last_value),
                "limit": str(row.limit),
                "numbers_left": str(abs(row.limit - row.last_value) // abs(row.increment)),
                "column": fed,
                "column_type": row.fed_type,
            },
            fix=Fix(sql=_fix(row)),
        )
    hidden = sum(not row.readable for row in rows)
    if hidden:
        yield Unexamined(
            CHECK.code,
            f"this role may not read {hidden} of {len(rows)} sequences",
            "grant select on all sequences in schema … to this role (from 14: the role pg_read_all_data)",
        )


def _fix(row: SequenceUse) -> tuple[str, ...]:
    sequence = f"alter sequence {quote(row.schema, row.name)} as bigint no maxvalue;"
    if row.increment < 0:
        sequence = sequence.replace("maxvalue", "minvalue")
    if row.fed_column is None or row.fed_table is None or row.fed_type not in ("smallint", "integer"):
        return (sequence,) if row.limit not in (2**63 - 1, -(2**63)) else ()
    column = (
        f"alter table {quote(row.fed_schema or '', row.fed_table)} alter column {quote(row.fed_column)} type bigint;"
    )
    return (column, sequence)


CHECK = Check("PG017", "sequence-exhaustion", "warning", "audit_sequences", SequenceUse, judge)
