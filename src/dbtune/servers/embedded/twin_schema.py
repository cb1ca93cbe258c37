"""The source's schema as statements for the twin: everything that the planner looks at, and nothing else.

No defaults, triggers, policies or rights. Columns are stored plainly, so that no TOAST tables are made, which halves
the time. Materialized views are tables here, and partitioned indexes only stand where they are unique.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dbtune.advisor.source import Column, Index, Source, Table, TypeDefinition
from dbtune.core.identifiers import quote

EXTENSIONS = frozenset(
    [
        "btree_gin",
        "btree_gist",
        "citext",
        "cube",
        "earthdistance",
        "fuzzystrmatch",
        "hstore",
        "intarray",
        "isn",
        "lo",
        "ltree",
        "pg_trgm",
        "seg",
        "tablefunc",
        "unaccent",
        "vector",
    ]
)
"""Types, operators and operator classes; what reaches other servers or files is none of a planner's business."""


_STORAGE_SINCE = 160000
NOT_ENFORCED_SINCE = 180000


@dataclass(frozen=True, slots=True)
class Ddl:
    """One statement for one `thing`, named as a person would. `instead` is tried where it fails for good."""

    thing: str
    sql: str
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the twin's server understands: `version` is server_version_num, `missing` are extensions that it lacks."""

    version: int
    missing: Collection[str] = ()

    @property
    def plainly(self) -> str:
        """Before 16 a column has no such word when it is made: those servers make TOAST tables."""
        return " storage plain" if self.version >= _STORAGE_SINCE else ""

    def unchecked(self, table: Table) -> str:
        """What a foreign key ends with, so that it has no triggers, or at least is not compared with empty tables."""
        if self.version >= NOT_ENFORCED_SINCE:
            return " not enforced"
        return "" if table.kind == "p" else " not valid"


def everything(source: Source, dialect: Dialect, sides: int) -> Iterator[list[list[Ddl]]]:
    """Stages, in an order that is nearly always good; a function may still read a view.

    A stage has one list, or one for each of so many `sides`, which do not need each other.
    """
    yield [list(types(source, dialect))]
    yield [list(tables(source, part, dialect)) for part in independent(source.tables, sides)]
    yield [[*functions(source), *sequences(source)]]
    # They lock their own table only, be it a partition.
    yield [list(indexes(source, source.tables[side::sides])) for side in range(sides)]
    # After the keys: a view may group by a primary key and show its table's other columns.
    yield [[*views(source), *constraints(source, dialect), *extended_statistics(source)]]


def independent(tables: Sequence[Table], sides: int) -> list[list[Table]]:
    """So many groups, about equally large; partitions and heirs stay with their parents."""
    heads: dict[tuple[str, str], tuple[str, str]] = {}

    def head(name: tuple[str, str]) -> tuple[str, str]:
        while (above := heads.setdefault(name, name)) != name:
            heads[name] = name = heads.setdefault(above, above)
        return name

    for table in tables:
        for parent in table.parents:
            heads[head(parent)] = head((table.schema, table.name))
    families: dict[tuple[str, str], list[Table]] = {}
    for table in tables:
        families.setdefault(head((table.schema, table.name)), []).append(table)
    groups: list[list[Table]] = [[] for _ in range(sides)]
    for family in sorted(families.values(), key=len, reverse=True):
        min(groups, key=len).extend(family)
    return groups


def types(source: Source, dialect: Dialect) -> Iterator[Ddl]:
    """The database's own, and empty ones in the place of those whose extension is missing."""
    for one in source.types:
        yield Ddl(f"type {quote(one.schema, one.name)}", _type(one))
    strangers = {
        (column.type_schema, column.type_name.lstrip("_"))
        for table in source.tables
        for column in table.columns
        if column.extension in dialect.missing
    }
    for schema, name in sorted(strangers):
        yield Ddl(f"type {quote(schema, name)}", f"create type {quote(schema, name)} as ()")


def tables(source: Source, among: Iterable[Table], dialect: Dialect) -> Iterator[Ddl]:
    """Parents first."""
    done: set[tuple[str, str]] = set()
    waiting = [table for table in among if table.kind in ("r", "p", "m")]
    while waiting:
        ready = [
            table for table in waiting if all(parent in done for parent in table.parents if parent in source.by_name)
        ]
        for table in ready or waiting:
            done.add((table.schema, table.name))
            yield Ddl(f"table {table.qualified}", _table(table, dialect), _bare_table(table, dialect))
        waiting = [] if not ready else [table for table in waiting if (table.schema, table.name) not in done]


def sequences(source: Source) -> Iterator[Ddl]:
    for schema, name in source.sequences:
        yield Ddl(f"sequence {quote(schema, name)}", f"create sequence {quote(schema, name)}")


def functions(source: Source) -> Iterator[Ddl]:
    for one in source.functions:
        yield Ddl(f"function {quote(one.schema, one.name)}", one.definition)


def views(source: Source) -> Iterator[Ddl]:
    for table in source.tables:
        if table.kind == "v":
            columns = ", ".join(quote(column.name) for column in table.columns)
            text = (table.query or "").rstrip().rstrip(";")
            yield Ddl(f"view {table.qualified}", f"create view {table.qualified} ({columns}) as {text}")


def indexes(source: Source, among: Iterable[Table]) -> Iterator[Ddl]:
    """Those behind constraints as constraints: GROUP BY a primary key covers its table."""
    for index in (one for table in among for one in source.indexes_of(table)):
        if not index.is_valid or _is_idle(source, index):
            continue
        thing = f"index {index.qualified}"
        if index.constraint is not None and index.constraint_definition:
            yield Ddl(thing, _constrained(index), index.definition)
        else:
            yield Ddl(thing, index.definition)


def constraints(source: Source, dialect: Dialect) -> Iterator[Ddl]:
    """Foreign keys are not enforced, or not validated. The planner is told the contrary afterwards."""
    known = source.by_name
    for one in source.constraints:
        table = known.get((one.schema, one.table))
        if table is None or not one.is_valid or (one.referenced is not None and one.referenced not in known):
            continue
        definition = re.sub(r"\s+(NOT VALID|NOT ENFORCED)\s*$", "", one.definition)
        if one.kind == "f":
            definition = re.sub(r"\s+(NOT )?DEFERRABLE|\s+INITIALLY \w+|\s+ON (DELETE|UPDATE) .*$", "", definition)
            definition += dialect.unchecked(table)
        yield Ddl(
            f"constraint {quote(one.name)} of {table.qualified}",
            f"alter table {table.qualified} add constraint {quote(one.name)} {definition}",
        )


def extended_statistics(source: Source) -> Iterator[Ddl]:
    seen: set[tuple[str, str]] = set()
    for one in source.extended:
        if (one.schema, one.name) not in seen:
            seen.add((one.schema, one.name))
            yield Ddl(f"extended statistics {quote(one.schema, one.name)}", one.definition)


def _type(one: TypeDefinition) -> str:
    name = quote(one.schema, one.name)
    match one.kind:
        case "e":
            return f"create type {name} as enum ({', '.join(_literal(label) for label in one.labels)})"
        case "d":
            return f"create domain {name} as {one.base}" + (f" collate {one.collation}" if one.collation else "")
        case "r":
            return f"create type {name} as range (subtype = {one.base})"
        case _:
            return f"create type {name} as ({', '.join(f'{quote(field)} {kind}' for field, kind in one.fields)})"


def _table(table: Table, dialect: Dialect) -> str:
    if table.bound is not None and len(table.parents) == 1:
        text = f"create table {table.qualified} partition of {quote(*table.parents[0])} {table.bound}"
    else:
        text = f"create table {table.qualified} ({', '.join(_column(column, dialect) for column in table.columns)})"
        if table.parents:
            text += f" inherits ({', '.join(quote(*parent) for parent in table.parents)})"
    if table.partition_key is not None:
        return f"{text} partition by {table.partition_key}"
    workers = [option for option in table.options if option.startswith("parallel_workers=")]
    return f"{text} with ({workers[0]})" if workers else text


def _bare_table(table: Table, dialect: Dialect) -> str:
    """Without what may have failed: generated columns, collations, parents."""
    columns = (
        f"{quote(column.name)} {_type_of(column, dialect)}" + (dialect.plainly if column.length < 0 else "")
        for column in table.columns
    )
    return f"create table {table.qualified} ({', '.join(columns)})"


def _column(column: Column, dialect: Dialect) -> str:
    stored = dialect.plainly if column.length < 0 and not column.virtual else ""
    words = [quote(column.name), _type_of(column, dialect) + stored]
    if column.collation is not None:
        words.append(f"collate {column.collation}")
    if column.virtual and column.generated is not None:
        words.append(f"generated always as ({column.generated}) virtual")
    if column.not_null:
        words.append("not null")
    return " ".join(words)


def _type_of(column: Column, dialect: Dialect) -> str:
    # A stand-in knows no modifiers such as geometry(Point,4326).
    if column.extension not in dialect.missing:
        return column.type
    name = column.type_name.lstrip("_")
    return quote(column.type_schema, name) + ("[]" if name != column.type_name else "")


def _is_idle(source: Source, index: Index) -> bool:
    """Of a partitioned table the planner reads unique indexes only, and of a foreign one none."""
    table = source.by_name.get((index.table_schema, index.table))
    return table is None or table.kind not in ("r", "p", "m") or (index.kind == "I" and not index.is_unique)


def _constrained(index: Index) -> str:
    only = "only " if index.kind == "I" else ""
    name, table = quote(index.constraint_name or index.name), quote(index.table_schema, index.table)
    return f"alter table {only}{table} add constraint {name} {index.constraint_definition}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
