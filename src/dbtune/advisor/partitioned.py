"""An index on a partitioned table, which PostgreSQL does not build CONCURRENTLY as a whole.

Its partitions are indexed one by one, without a lock that blocks, where they have no such index yet; then an index on
the table alone is made, which is a matter of the catalog, and theirs are attached to it: partitions of later get theirs
by themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from dbtune.advisor.existing import is_same
from dbtune.advisor.index import IndexDefinition, name_apart
from dbtune.advisor.source import Index, Source, Table
from dbtune.core.identifiers import quote


@dataclass(frozen=True, slots=True)
class Parts:
    """`leaves` are the partitions' indexes to build, with their names; `joins`, statements, make one index of all.

    `takes_back` drops it with what was built, and makes those again that were there before. `joins` may be repeated.
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
    there = dict(_there(source, root, definition))
    name = _unfinished(source, root, definition, there) or name
    ready = {table for table, index in there.items() if index.is_valid}
    tables = list(_below(source, root, ready))
    on = {table: replace(definition, schema=table.schema, table=table.name) for table in tables}
    missing = (on[table] for table in tables if table not in there)
    names = name_apart(missing, {index.name for index in source.indexes} | {name})
    called = {table: there[table].name if table in there else names[on[table]] for table in tables} | {root: name}
    joins: list[str] = []
    for table in (*(one for one in tables if one.kind == "p" and one not in ready), root):
        own = replace(definition, schema=table.schema, table=table.name)
        joins.append(own.ddl(name=called[table], only=True))
        joins += [
            f"alter index {quote(table.schema, called[table])} attach partition {quote(below.schema, called[below])}"
            for below in _parts(source, table)
        ]
    whole = quote(root.schema, name)
    literal = "'" + whole.replace("'", "''") + "'"
    kept = [one for one in tables if one in ready and there[one].parent in (None, (root.schema, name))]
    return Parts(
        leaves=tuple((called[table], on[table]) for table in tables if table.kind != "p" and table not in ready),
        joins=tuple(joins),
        is_joined=f"select exists (select from pg_index where indexrelid = to_regclass({literal}) and indisvalid)",
        takes_back=";\n".join((f"drop index {whole}", *(_again(table, there, on) for table in kept))),
    )


def _there(source: Source, table: Table, definition: IndexDefinition) -> Iterator[tuple[Table, Index]]:
    """What partitions have of it already: the valid one, else what a broken build has left."""
    for part in _parts(source, table):
        wanted = replace(definition, schema=part.schema, table=part.name)
        same = (index for index in source.indexes_of(part) if is_same(index, wanted))
        if (index := min(same, key=lambda one: (not one.is_valid, one.name), default=None)) is not None:
            yield part, index
        yield from _there(source, part, definition)


def _unfinished(source: Source, root: Table, definition: IndexDefinition, there: Mapping[Table, Index]) -> str | None:
    """One of this definition that lacks partitions is gone on with: what is attached to it fits no other."""
    parents = {index.parent for index in there.values()}
    same = (index for index in source.indexes_of(root) if not index.is_valid and is_same(index, definition))
    found = min(same, key=lambda one: ((one.schema, one.name) not in parents, one.name), default=None)
    return None if found is None else found.name


def _again(table: Table, there: Mapping[Table, Index], on: Mapping[Table, IndexDefinition]) -> str:
    """A partitioned one's own definition speaks of that table ONLY."""
    index = there[table]
    return on[table].ddl(name=index.name) if table.kind == "p" else index.definition


def _below(source: Source, table: Table, ready: Collection[Table]) -> Iterator[Table]:
    """Partitions of partitions before what they are part of, but not of those that are indexed as a whole."""
    for part in _parts(source, table):
        if part not in ready:
            yield from _below(source, part, ready)
        yield part


def _parts(source: Source, table: Table) -> Iterator[Table]:
    """Foreign tables cannot be indexed here."""
    parts = (source.by_name.get(name) for name in source.children.get((table.schema, table.name), ()))
    return (part for part in parts if part is not None and part.kind in ("r", "p"))
