"""The row that both checks about wraparound share, and their judgement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbtune.checks.check import Check
from dbtune.core.findings import Finding, Fix
from dbtune.core.identifiers import quote

CAPACITY = 2**31
"""Ids are 32 bits wide and half of them are in the past (PostgreSQL's documentation, "Preventing Transaction ID
Wraparound Failures")."""
RESERVE = 3_000_000
"""So many before the end the server refuses new transactions (the same place; 3 million since 14)."""
LEAST_LEFT_CRITICAL = 40_000_000
"""From here on the server itself warns with every assignment (the same place)."""
LEAST_LEFT = 500_000_000
"""Our judgement: three quarters are used up; a busy server uses the rest in days or weeks."""
LATE = 1.5
"""Our judgement: half as old again as the age at which autovacuum must come, it does not keep up."""


@dataclass(frozen=True, slots=True)
class FrozenAge:
    """A database of the server, or a table of this database past its limit. Ages count ids, not time."""

    schema: str | None
    name: str
    is_database: bool
    age: int
    multixact_age: int
    freeze_max_age: int
    multixact_freeze_max_age: int


def age_finding(check: Check, row: FrozenAge, age: int, limit: int, what: str) -> Iterable[Finding]:
    """Nothing while autovacuum keeps up; `what` names the ids."""
    left = CAPACITY - RESERVE - age
    if left >= LEAST_LEFT and age <= LATE * limit:
        return
    name = row.name if row.schema is None else f"{row.schema}.{row.name}"
    severity = "critical" if left < LEAST_LEFT_CRITICAL else "warning" if left < LEAST_LEFT else "info"
    vacuum = "vacuum (freeze, verbose);" if row.schema is None else f"vacuum (freeze) {quote(row.schema, row.name)};"
    yield check.finding(
        f"database {name}" if row.is_database else name,
        f"{left:,} {what} left before the server refuses writes; the oldest is {age:,} old,"
        f" autovacuum was due at {limit:,}",
        severity=severity,
        evidence={"age": age, "left": left, "freeze_max_age": limit},
        fix=Fix(sql=(vacuum,)),
    )
