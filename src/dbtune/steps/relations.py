"""Tables as the catalog shows them, shared by the step kinds that name one."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.core.identifiers import did_you_mean, quote, split_name
from dbtune.core.questions import Catalog, Facts, Question

PARTITIONED = "p"


@dataclass(frozen=True, slots=True)
class RelationRow:
    """One table. `kind` and `persistence` are pg_class's letters; `widths` are average bytes per column."""

    given: str
    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    owned: bool
    may_create: bool
    size_bytes: int
    row_count: float
    columns: list[str]
    widths: list[int]


@dataclass(frozen=True, slots=True)
class RelationName:
    schema: str
    name: str


RELATION_NAMES = Catalog("relation_names", RelationName)


def as_regclass(table: str, schema: str | None = None) -> str:
    """A table as a person wrote it, quoted for to_regclass; without a schema the search_path decides.

    Beside a schema the name needs no quotes, and may have them: `Odd.name` and `"Odd.name"` are the same table.
    """
    written_schema, name = split_name(table)
    if schema is not None:
        is_quoted = len(table) > 2 and table[0] == table[-1] == '"'
        return quote(schema, name if is_quoted and written_schema is None else table)
    return quote(name) if written_schema is None else quote(written_schema, name)


def ask_for(regclass: str) -> Catalog:
    return Catalog("relations", RelationRow, (regclass,))


def find(facts: Facts, regclass: str) -> RelationRow | None:
    """The table under a name, or None where there is none."""
    rows = facts.rows(ask_for(regclass), RelationRow)
    return next((row for row in rows if row.given == regclass), None)


def ask_for_neighbours(facts: Facts, regclass: str) -> tuple[Question, ...]:
    """When a table does not exist: the names of those that do."""
    return () if find(facts, regclass) else (RELATION_NAMES,)


def missing_table(facts: Facts, table: str, schema: str | None = None) -> str:
    """Why a table cannot be used, with the nearest names."""
    known = facts.rows(RELATION_NAMES, RelationName)
    written = table if schema is None else f"{schema}.{table}"
    hint = did_you_mean(written, [f"{row.schema}.{row.name}" for row in known])
    hint = hint or did_you_mean(split_name(table)[1], [row.name for row in known])
    return f'table "{written}" does not exist' + (f"; {hint}" if hint else "")
