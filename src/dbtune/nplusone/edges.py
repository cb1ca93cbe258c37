"""How a look-up can hang on the rows of another statement: by a foreign key, by a shared reference, by a name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dbtune.nplusone.shapes import UNKNOWN, Shape, TableName
from dbtune.nplusone.traffic import KeyRow

Table = tuple[str, str]
"""Schema and name, as the catalog has them."""
EdgeKind = Literal["forward", "reverse", "same", "shared", "guess"]


@dataclass(frozen=True, slots=True)
class Edge:
    """`forward`: the parent's rows hold the key that the child looks up; `reverse`: the child's foreign key refers to
    them; `same`: both read one table; `shared`: both refer to a third; `guess`: only the names say so.

    `per_row` is how many look-ups each row of the parent is expected to cause: below 1 where the key may be null.
    `own_link`: by which columns the child's table refers to itself; empty where it does not.
    """

    kind: EdgeKind
    text: str
    parent_table: Table
    parent_columns: tuple[str, ...]
    child_table: Table
    child_columns: tuple[str, ...]
    per_row: float = 1.0
    own_link: tuple[str, ...] = ()

    @property
    def is_declared(self) -> bool:
        return self.kind in ("forward", "reverse")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A key that a statement looks up. `foreign` is set where the columns refer to another table."""

    table: Table
    columns: tuple[str, ...]
    foreign: KeyRow | None = None


class Schema:
    """Keys by table, and tables by the names that statements use."""

    def __init__(self, keys: Sequence[KeyRow]) -> None:
        self._foreign: defaultdict[Table, list[KeyRow]] = defaultdict(list)
        self._unique: defaultdict[Table, list[KeyRow]] = defaultdict(list)
        self._by_name: defaultdict[str, list[Table]] = defaultdict(list)
        self._reach: dict[tuple[TableName, ...], frozenset[Table]] = {}
        for row in sorted(keys, key=lambda key: key.place):
            table = (row.schema, row.table)
            (self._foreign if row.kind == "foreign" else self._unique)[table].append(row)
            if table not in self._by_name[row.table]:
                self._by_name[row.table].append(table)

    def resolve(self, name: TableName) -> Table | None:
        """A name without a schema is taken from the search path; None where the catalog has no key for it."""
        schema, table = name
        known = self._by_name.get(table, [])
        return next((found for found in known if schema in (None, found[0])), None)

    def foreign(self, table: Table) -> Sequence[KeyRow]:
        return self._foreign.get(table, ())

    def unique(self, table: Table) -> Sequence[KeyRow]:
        return self._unique.get(table, ())

    def primary(self, table: Table) -> tuple[str, ...]:
        return next((tuple(row.columns) for row in self.unique(table) if row.is_primary), ())

    def own_link(self, table: Table) -> tuple[str, ...]:
        """The columns by which a table refers to itself."""
        rows = (row for row in self.foreign(table) if (row.other_schema, row.other_table) == table)
        return next((tuple(row.columns) for row in rows), ())

    def reach(self, shape: Shape) -> frozenset[Table]:
        """The tables that a statement names, and those that they refer to: no edge leads anywhere else."""
        found = self._reach.get(shape.tables)
        if found is None:
            own = {table for table in self.places(shape) if table is not None}
            referred = {
                (row.other_schema, row.other_table)
                for table in own
                for row in self.foreign(table)
                if row.other_schema is not None and row.other_table is not None
            }
            found = self._reach[shape.tables] = frozenset(own | referred)
        return found

    def places(self, shape: Shape) -> list[Table | None]:
        return [self.resolve(name) for name in shape.tables]


def lookups(shape: Shape, schema: Schema) -> list[Lookup]:
    """The keys that `shape` looks up by equality: unique ones, foreign ones, and columns named like references.

    For an INSERT, the foreign keys of the columns that it writes.
    """
    found: list[Lookup] = []
    for place, table in enumerate(schema.places(shape)):
        if table is None:
            continue
        if shape.verb == "insert":
            known = shape.written
        else:
            known = frozenset(name for at, name in shape.equal if at in (place, UNKNOWN))
        if shape.verb != "insert":
            keys = (tuple(row.columns) for row in schema.unique(table) if known.issuperset(row.columns))
            found += [Lookup(table, columns) for columns in keys]
        referring = [row for row in schema.foreign(table) if known.issuperset(row.columns)]
        found += [Lookup(table, tuple(row.columns), row) for row in referring]
        spoken_for = {name for lookup in found for name in lookup.columns if lookup.table == table}
        found += [Lookup(table, (name,)) for name in sorted(known - spoken_for) if name.endswith("_id")]
    return found


def batch_lookups(shape: Shape, schema: Schema) -> list[Lookup]:
    """The keys that `shape` looks up many at a time (IN, ANY)."""
    return lookups(replace(shape, equal=shape.listed), schema) if shape.listed else []


def edges(parent: Shape, child: Sequence[Lookup], schema: Schema) -> Iterator[Edge]:
    """Every way in which `child` may hang on the rows of `parent`, the surest first."""
    places = schema.places(parent)
    for lookup in child:
        for place, table in enumerate(places):
            if table is not None and not _brings_along(parent, places, table, lookup, schema):
                yield from _declared(parent, place, table, lookup, schema)
    for lookup in child:
        for place, table in enumerate(places):
            if table is not None and not _brings_along(parent, places, table, lookup, schema):
                yield from _undeclared(parent, place, table, lookup, schema)


def _brings_along(parent: Shape, places: Sequence[Table | None], table: Table, lookup: Lookup, schema: Schema) -> bool:
    """The parent's rows carry those of the child's table already (a join): nothing is left to look up."""
    if lookup.table == table:
        return False
    shown = parent.stars | {place for place, _ in parent.outputs}
    times = sum(1 for place, found in enumerate(places) if found == lookup.table and place in shown)
    links = sum(1 for row in schema.foreign(table) if (row.other_schema, row.other_table) == lookup.table)
    return times >= max(links, 1)


def _declared(parent: Shape, place: int, table: Table, lookup: Lookup, schema: Schema) -> Iterator[Edge]:
    if lookup.foreign is None:
        for row in schema.foreign(table):
            refers = (row.other_schema, row.other_table) == lookup.table
            if refers and tuple(row.other_columns or ()) == lookup.columns and _returns(parent, place, row.columns):
                yield Edge(
                    "forward", _link(table, row.columns, lookup.table, lookup.columns), table, tuple(row.columns),
                    lookup.table, lookup.columns, 1.0 - (row.null_fraction or 0.0),
                    schema.own_link(lookup.table),
                )  # fmt: skip
        return
    row = lookup.foreign
    if (row.other_schema, row.other_table) == table and _returns(parent, place, row.other_columns or ()):
        yield Edge(
            "reverse", _link(lookup.table, lookup.columns, table, row.other_columns or ()), table,
            tuple(row.other_columns or ()), lookup.table, lookup.columns, 1.0, schema.own_link(lookup.table),
        )  # fmt: skip


def _undeclared(parent: Shape, place: int, table: Table, lookup: Lookup, schema: Schema) -> Iterator[Edge]:
    if lookup.foreign is not None:
        for row in schema.foreign(table):
            same = (row.other_schema, row.other_table) == (lookup.foreign.other_schema, lookup.foreign.other_table)
            if same and row is not lookup.foreign and _returns(parent, place, row.columns) and table != lookup.table:
                text = f"{_named(table, row.columns)} = {_named(lookup.table, lookup.columns)}"
                text += f" (both refer to {row.other_schema}.{row.other_table})"
                yield Edge(
                    "shared", text, table, tuple(row.columns), lookup.table, lookup.columns,
                    1.0 - (row.null_fraction or 0.0),
                )  # fmt: skip
        return
    key = schema.primary(lookup.table)
    if lookup.table == table and lookup.columns == key and _returns(parent, place, key):
        yield Edge("same", f"{_named(table, key)}, read again row by row", table, key, table, key)
    yield from _guessed(parent, place, table, lookup, schema)


def _guessed(parent: Shape, place: int, table: Table, lookup: Lookup, schema: Schema) -> Iterator[Edge]:
    """A column `author_id` and a table `author`, `authors` or `blog_author`, without a foreign key between them."""
    if len(lookup.columns) != 1 or lookup.table == table:
        return
    column, key = lookup.columns[0], schema.primary(table)
    if column.endswith("_id") and _is_called(table, column) and _returns(parent, place, key):
        yield Edge("guess", _link(lookup.table, lookup.columns, table, key), table, key, lookup.table, lookup.columns)
    declared = {name for row in schema.foreign(table) for name in row.columns}
    if lookup.columns == schema.primary(lookup.table):
        for at, name in sorted(parent.outputs):
            if at == place and name.endswith("_id") and name not in declared and _is_called(lookup.table, name):
                text = _link(table, (name,), lookup.table, lookup.columns)
                yield Edge("guess", text, table, (name,), lookup.table, lookup.columns)


def _is_called(table: Table, column: str) -> bool:
    stem = column.removesuffix("_id")
    names = (stem, f"{stem}s", f"{stem}es", f"{stem.removesuffix('y')}ies")
    return any(table[1] == name or table[1].endswith(f"_{name}") for name in names)


def _returns(shape: Shape, place: int, columns: Iterable[str]) -> bool:
    wanted = tuple(columns)
    return bool(wanted) and all(shape.returns(place, name) for name in wanted)


def _link(table: Table, columns: Iterable[str], other: Table, others: Iterable[str]) -> str:
    return f"{_named(table, columns)} → {_named(other, others)}"


def _named(table: Table, columns: Iterable[str]) -> str:
    wanted = tuple(columns)
    listed = wanted[0] if len(wanted) == 1 else f"({', '.join(wanted)})"
    return f"{table[0]}.{table[1]}.{listed}"
