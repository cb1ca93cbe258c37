"""An index whose keys are the first ones of another index on the same table.

**Why it matters.** The longer index answers what the shorter one does; the shorter one still costs every write, disk
and memory.

**What to do.** Drop the shorter one CONCURRENTLY, after a look at how much wider the other is: a narrow index that is
read very often can be worth keeping. Compared are access method, operator classes, collations, predicate and order
(an index read backwards counts); indexes that guard data are never called superfluous.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.index_usage import IndexUsage, begins_with
from dbtune.core.findings import Fix
from dbtune.core.units import format_size

ORDERED_METHODS = ("btree",)
"""Only these answer for a prefix of their keys as well as an index of that prefix would."""


def judge(rows: Sequence[IndexUsage], server: Audited) -> Verdicts:
    """One finding for each index that begins another; the shortest of the others is named."""
    tables: dict[int, list[IndexUsage]] = defaultdict(list)
    for row in rows:
        if row.method in ORDERED_METHODS and (row.usable or row.is_partitioned):
            tables[row.table_oid].append(row)
    for indexes in tables.values():
        for shorter in indexes:
            longer = _covering(shorter, indexes)
            if longer is None:
                continue
            yield CHECK.finding(
                shorter.full_name,
                f"{format_size(shorter.size_bytes)} on {shorter.table}: {longer.name} begins with its keys",
                evidence={
                    "covered_by": longer.full_name,
                    "size_bytes": shorter.size_bytes,
                    "covering_size_bytes": longer.size_bytes,
                    "scans": shorter.scans,
                    "definition": shorter.definition,
                    "covering_definition": longer.definition,
                },
                fix=Fix(sql=(shorter.drop,)),
            )


def _covering(shorter: IndexUsage, indexes: Sequence[IndexUsage]) -> IndexUsage | None:
    """The narrowest index that could stand in; the same keys in the same order are a duplicate instead."""
    if shorter.guards_data:
        return None
    others = [
        other
        for other in indexes
        if other.oid != shorter.oid and begins_with(other, shorter) and _is_more(other, shorter)
    ]
    return min(others, key=lambda other: (other.key_count, other.oid), default=None)


def _is_more(other: IndexUsage, shorter: IndexUsage) -> bool:
    if other.key_count > shorter.key_count:
        return True
    if other.included != shorter.included:
        return other.included > shorter.included
    # The same keys read backwards: one of the two goes, the one that guards nothing or came later.
    return other.keys() != shorter.keys() and (other.guards_data or other.oid < shorter.oid)


CHECK = Check("PG003", "overlapping-index", "info", "audit_indexes", IndexUsage, judge)
