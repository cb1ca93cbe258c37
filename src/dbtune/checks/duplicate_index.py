"""Two indexes of the same table that are the same, whatever they are called.

**Why it matters.** Every write pays twice, the cache holds both, and vacuum reads both; no query gains anything.

**What to do.** Drop the one that the finding names. The same means: access method, keys with their order, operator
classes and collations, INCLUDE and predicate. A plain index beside a unique one of the same keys is a duplicate too.
Kept is what a constraint, a foreign key or the replica identity needs, then the unique one, then the one used most.
Where both serve a constraint, one of the constraints says nothing new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.index_usage import IndexUsage
from dbtune.core.findings import Finding, Fix
from dbtune.core.units import format_size


def judge(rows: Sequence[IndexUsage], server: Audited) -> Verdicts:
    """One finding for each index that another one makes superfluous."""
    groups: dict[tuple[object, ...], list[IndexUsage]] = defaultdict(list)
    for row in rows:
        if row.usable or row.is_partitioned:
            groups[_identity(row)].append(row)
    for group in groups.values():
        if len(group) > 1:
            yield from _superfluous(sorted(group, key=_worth, reverse=True))


def _identity(row: IndexUsage) -> tuple[object, ...]:
    return (row.table_oid, row.method, row.keys(), row.included, row.expressions, row.predicate)


def _worth(row: IndexUsage) -> tuple[object, ...]:
    """What has to stay comes first; an exclusion constraint's index is told from a plain one by its constraint."""
    return (
        row.is_referenced,
        row.constraint_name is not None,
        row.is_replica_identity,
        row.is_unique,
        row.scans,
        -row.oid,
    )


def _superfluous(group: Sequence[IndexUsage]) -> Iterable[Finding]:
    for place, row in enumerate(group):
        kept = next((other for other in group[:place] if _replaces(other, row)), None)
        if kept is None:
            continue
        constraint = f"constraint {row.constraint_name}, " if row.constraint_name else ""
        yield CHECK.finding(
            row.full_name,
            f"{constraint}{format_size(row.size_bytes)} on {row.table}: the same index as {kept.name}",
            severity="info" if row.constraint_name else CHECK.severity,
            evidence={
                "duplicate_of": kept.full_name,
                "size_bytes": row.size_bytes,
                "scans": row.scans,
                "definition": row.definition,
            },
            fix=Fix(sql=(row.drop,)),
        )


def _replaces(kept: IndexUsage, row: IndexUsage) -> bool:
    """A unique index is needed unless another unique one says the same about nulls; foreign keys hold theirs."""
    if row.is_referenced or row.is_replica_identity:
        return False
    is_exclusion = row.constraint_name is not None and not row.is_unique
    if is_exclusion:
        return False
    return not row.is_unique or (kept.is_unique and kept.nulls_not_distinct == row.nulls_not_distinct)


CHECK = Check("PG002", "duplicate-index", "warning", "audit_indexes", IndexUsage, judge)
