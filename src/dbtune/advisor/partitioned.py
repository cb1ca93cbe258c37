"""An index on a partitioned table, which PostgreSQL does not build CONCURRENTLY as a whole.

Its partitions are indexed one by one, without a lock that blocks; then an index on the table alone is made, which is
a matter of the catalog, and theirs are attached to it: partitions of later get theirs by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dbtune.advisor.index import IndexDefinition, name_apart
from dbtune.advisor.source import Source, Table
from dbtune.core.identifiers import quote


@dataclass(frozen=True, slots=True)
class Parts:
    """`leaves` are the partitions' indexes with their names; `joins`, statements, make one index of them.

    `takes_back` drops it, theirs included. `joins` may be repeated.
    """

    leaves: tuple[tuple[str, IndexDefinition], ...]
    joins: tuple[str, ...]
    is_joined: str
    takes_back: str

    @property
    def statements(self) -> tuple[str, ...]:
        return (*(leaf.ddl(name=name, concurrently=True) for name, leaf in self.leaves), *self.joins)


def parts_of(definition: IndexDefinition, name: str, source: Source) -> Parts | None:
    """None for a table that is not partitioned."""
    root = source.by_name.get((definition.schema, definition.table))
    if root is None or root.kind != "p":
        return None
    tables = list(_below(source, root))
    on = {table: replace(definition, schema=table.schema, table=table.name) for table in tables}
    names = name_apart((on[table] for table in tables), {index.name for index in source.indexes} | {name})
    called = {table: names[on[table]] for table in tables} | {root: name}
    joins: list[str] = []
    for table in (*(one for one in tables if one.kind == "p"), root):
        own = replace(definition, schema=table.schema, table=table.name)
        joins.append(own.ddl(name=called[table], only=True))
        joins += [
            f"alter index {quote(table.schema, called[table])} attach partition {quote(below.schema, called[below])}"
            for below in _parts(source, table)
        ]
    whole = quote(root.schema, name)
    literal = "'" + whole.replace("'", "''") + "'"
    return Parts(
        leaves=tuple((called[table], on[table]) for table in tables if table.kind != "p"),
        joins=tuple(joins),
        is_joined=f"select exists (select from pg_index where indexrelid = to_regclass({literal}) and indisvalid)",
        takes_back=f"drop index {whole}",
    )


def _below(source: Source, table: Table) -> Iterator[Table]:
    """Partitions of partitions before what they are part of."""
    for part in _parts(source, table):
        yield from _below(source, part)
        yield part


def _parts(source: Source, table: Table) -> Iterator[Table]:
    """Foreign tables cannot be indexed here."""
    parts = (source.by_name.get(name) for name in source.children.get((table.schema, table.name), ()))
    return (part for part in parts if part is not None and part.kind in ("r", "p"))
