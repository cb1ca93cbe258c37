"""A constraint that was added NOT VALID and never validated.

**Why it matters.** It is checked for new rows only: old ones may break it, and the planner does not rely on it. A dump
of such rows cannot be restored with the constraint in force.

**What to do.** VALIDATE it. That reads the whole table under a lock that blocks neither reads nor writes, and fails at
the first row that breaks the rule; those rows have to be repaired first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Fix
from dbtune.core.identifiers import quote

KINDS = {"c": "check", "f": "foreign key", "n": "not null"}
"""pg_constraint.contype; 18 knows not-null constraints that are not valid."""


@dataclass(frozen=True, slots=True)
class UnvalidatedConstraint:
    """`kind` is pg_constraint.contype; `rows` an estimate of the table's."""

    name: str
    schema: str
    table: str
    kind: str
    definition: str
    rows: int


def judge(rows: Sequence[UnvalidatedConstraint], server: Audited) -> Verdicts:
    """All of them."""
    for row in rows:
        table, name = quote(row.schema, row.table), quote(row.name)
        statement = f"alter table {table} validate constraint {name};"
        yield CHECK.finding(
            f"{row.schema}.{row.table}.{row.name}",
            f"{KINDS.get(row.kind, row.kind)} constraint, NOT VALID: old rows may break it; {row.rows:,} rows to read",
            evidence={"definition": row.definition, "rows": row.rows},
            fix=Fix(sql=(statement,), step={"sql": {"apply": statement, "verify": _verify(row)}}),
        )


def _verify(row: UnvalidatedConstraint) -> str:
    return (
        f"select convalidated from pg_constraint where conrelid = to_regclass({_literal(quote(row.schema, row.table))})"
        f" and conname = {_literal(row.name)}"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


CHECK = Check("PG018", "not-valid-constraint", "warning", "audit_not_valid_constraints", UnvalidatedConstraint, judge)
