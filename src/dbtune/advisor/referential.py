"""What PostgreSQL does by itself when rows are deleted: it looks for rows that refer to them.

That look-up is in no plan. Without an index on the foreign key each deleted row costs a scan of the other table, so
the look-ups are statements of the workload, worded as PostgreSQL's own (ri_triggers.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbtune.advisor.source import Constraint, Source
from dbtune.advisor.texts import Token, tokens
from dbtune.advisor.workload import Statement, Variant, Workload
from dbtune.baseline.texts import fingerprint
from dbtune.core.identifiers import quote

Name = tuple[str | None, str]


def with_referential_checks(workload: Workload, source: Source) -> Workload:
    """The same with the look-ups behind its DELETEs, each as often as rows are deleted (once a call if unknown)."""
    found: dict[str, Statement] = {}
    for statement in workload.statements:
        for check in _checks(statement, source):
            if check.weight == 0:
                continue
            known = found.get(check.fingerprint)
            found[check.fingerprint] = check if known is None else replace(known, weight=known.weight + check.weight)
    have = {statement.fingerprint for statement in workload.statements}
    added = [check for mark, check in found.items() if mark not in have]
    ordered = sorted([*workload.statements, *added], key=lambda one: (-one.weight, one.fingerprint))
    return replace(workload, statements=tuple(ordered))


def deleted_tables(sql: str) -> tuple[Name, ...]:
    """Schema (None where it is not written) and name of every table after DELETE FROM."""
    found = [token for token in tokens(sql) if token.kind not in ("space", "comment")]
    names: dict[Name, None] = {}
    for place in range(len(found) - 2):
        words = [token.text.lower() for token in found[place : place + 3]]
        if words[:2] != ["delete", "from"]:
            continue
        first = place + (3 if words[2] == "only" else 2)
        names.setdefault(_name(found[first : first + 3]))
    return tuple(names)


def _checks(statement: Statement, source: Source) -> Iterator[Statement]:
    for schema, name in deleted_tables(statement.text):
        for constraint in source.constraints:
            referenced = constraint.referenced
            if constraint.kind != "f" or referenced is None or referenced[1] != name:
                continue
            if schema is None or referenced[0] == schema:
                yield _check(constraint, statement)


def _check(constraint: Constraint, statement: Statement) -> Statement:
    table = quote(constraint.schema, constraint.table)
    where = " AND ".join(f"x.{quote(column)} = ${number}" for number, column in enumerate(constraint.columns, start=1))
    sql = f"SELECT 1 FROM {table} x WHERE {where} FOR KEY SHARE OF x"
    return Statement(
        text=sql,
        fingerprint=fingerprint(sql),
        weight=statement.weight * max(statement.rows if statement.rows is not None else 1.0, 0.0),
        source="foreign key",
        variants=(Variant(sql, 1.0, "any value"),),
        place=f"foreign key {constraint.name}",
    )


def _name(found: list[Token]) -> Name:
    parts = [
        token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text.lower()
        for token in found
        if token.kind in ("quoted", "word")
    ]
    if len(found) == 3 and found[1].text == "." and len(parts) == 2:
        return parts[0], parts[1]
    return None, parts[0] if parts else ""
