"""From a Source to a database that the planner believes to be full."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dbtune.advisor.index_size import Attribute, height_of
from dbtune.advisor.source import Index, Source, Table
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote
from dbtune.servers.embedded import twin_schema as schema
from dbtune.servers.embedded.twin_ddl import perform
from dbtune.servers.embedded.twin_extended import load_extended
from dbtune.servers.embedded.twin_files import pages_of, resize, write_btree_skeleton
from dbtune.servers.embedded.twin_memory import evict, prepare_memory
from dbtune.servers.embedded.twin_sessions import OWNER
from dbtune.servers.embedded.twin_statistics import load_statistics
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.session import Connection

_OURS = frozenset({"plpgsql", "pg_stat_statements", "pg_buffercache"})
_SIZES = """/* dbtune */ update pg_class
set relpages = sizes.relpages, reltuples = sizes.rows, relallvisible = sizes.visible
from jsonb_to_recordset(%s::jsonb) as sizes(oid oid, relpages int, rows real, visible int)
where pg_class.oid = sizes.oid"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of the twin that has a file."""

    oid: int
    schema: str
    name: str
    path: Path


def load(
    admins: Sequence[Connection], builders: Sequence[Connection], source: Source, data: Path
) -> tuple[Unexamined, ...]:
    """Makes the twin of `source` in an empty database whose files lie in `data`; what it could not carry over.

    As many connections of each kind work side by side as are given; one is enough.
    """
    admin = admins[0]
    with translated("loading the twin"):
        prepare_memory(admin, data)
        problems = list(_foreign_tables(source))
        missing = _extensions(admin, source)
        problems += [
            Unexamined(f"extension {name}", "the twin has no such extension: what uses its types cannot be planned")
            for name in sorted(missing)
        ]
        _schemas(admin, source)
        _collations(admin, source)
        for builder in builders:
            # As the source did when they were made: a function may name what is not there yet, or any more.
            builder.execute("/* dbtune */ set check_function_bodies = off")
        problems += perform(
            builders, schema.everything(source, schema.Dialect(admin.info.server_version, missing), len(builders))
        )
        _enforce(admin)
        problems += load_statistics(admins, builders, source, missing)
        problems += load_extended(admin, builders[0], source)
        _grow(admin, source, data)
    return tuple(problems)


def relations(admin: Connection, data: Path, oids: Sequence[int] | None = None) -> Iterator[Relation]:
    """Those of the twin's owner, or those given."""
    found = admin.execute(
        "/* dbtune */ select pg_class.oid::bigint, nspname, relname, pg_relation_filepath(pg_class.oid) from pg_class"
        " join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind in ('r', 'i', 'm') and relowner = (select oid from pg_roles where rolname = %s)"
        " and (%s::bigint[] is null or pg_class.oid = any (%s::bigint[]::oid[]))",
        (OWNER, oids, oids),
    ).fetchall()
    for oid, space, name, path in found:
        if path is not None:
            yield Relation(int(str(oid)), str(space), str(name), data / str(path))


def oids_by_name(admin: Connection, source: Source) -> dict[str, tuple[int, ...]]:
    """The twin's numbers of the source's indexes, `"schema"."name"`; of a partitioned one those of its parts too."""
    found = admin.execute(
        "/* dbtune */ select nspname, relname, pg_class.oid::bigint from pg_class"
        " join pg_namespace on pg_namespace.oid = relnamespace where relkind in ('i', 'I')"
    ).fetchall()
    ours = {quote(str(space), str(name)): int(str(oid)) for space, name, oid in found}
    parents = {(one.schema, one.name): one.parent for one in source.indexes}
    oids: dict[str, list[int]] = {}
    for index in source.indexes:
        own = ours.get(index.qualified)
        name: tuple[str, str] | None = (index.schema, index.name)
        while own is not None and name is not None:
            oids.setdefault(quote(*name), []).append(own)
            name = parents.get(name)
    return {name: tuple(numbers) for name, numbers in oids.items()}


def sizes_of(oid: int, table: Table) -> dict[str, Any]:
    return {"oid": oid, "relpages": table.relpages, "rows": table.rows, "visible": table.visible_pages}


def set_sizes(admin: Connection, sizes: Iterable[dict[str, Any]]) -> None:
    """`oid`, `relpages`, `rows`, `visible` of each."""
    admin.execute(_SIZES, (json.dumps(list(sizes)),))


def key_attributes(source: Source, index: Index) -> list[Attribute]:
    table = source.by_name.get((index.table_schema, index.table))
    attributes = []
    for key in index.keys:
        column = table.column(key.column) if table is not None and key.column is not None else None
        if table is None or column is None or column.stats is None:
            attributes.append(Attribute(-1, 4, 16.0, distinct=max(index.rows, 1.0)))
        else:
            stats = column.stats
            attributes.append(
                Attribute(column.length, 4, stats.avg_width, stats.null_frac, stats.distinct(table.live_rows))
            )
    return attributes


def unavailable(admin: Connection, source: Source) -> set[str]:
    """Those of the source's extensions that a twin can have, and this server has not."""
    found = admin.execute("/* dbtune */ select name::text from pg_available_extensions").fetchall()
    return {name for name, _, _ in source.extensions if name in schema.EXTENSIONS} - {str(row[0]) for row in found}


def _extensions(admin: Connection, source: Source) -> set[str]:
    """Those of the source that the twin has not, where columns have types of theirs or they are known to matter."""
    missing = unavailable(admin, source)
    for name, space, _ in source.extensions:
        if name in _OURS or name in missing:
            continue
        if name not in schema.EXTENSIONS:
            missing.add(name)
            continue
        try:
            admin.execute(sql.SQL("/* dbtune */ create schema if not exists {}").format(sql.Identifier(space)))
            admin.execute(
                sql.SQL("/* dbtune */ create extension if not exists {} with schema {} cascade").format(
                    sql.Identifier(name), sql.Identifier(space)
                )
            )
        except psycopg.Error:
            if admin.broken:
                raise
            missing.add(name)
    return missing


def _schemas(admin: Connection, source: Source) -> None:
    owner = sql.Identifier(OWNER)
    things = (source.tables, source.types, source.functions, source.extended, source.indexes)
    names = {one.schema for group in things for one in group} | {space for _, space, _ in source.extensions}
    names |= {schema for schema, _ in source.sequences}
    # PostgreSQL keeps the names of its own for itself; what a file has put there cannot be made, and is said.
    for name in sorted(one for one in names if one and not one.startswith("pg_") and one != "information_schema"):
        space = sql.Identifier(name)
        admin.execute(sql.SQL("/* dbtune */ create schema if not exists {}").format(space))
        admin.execute(sql.SQL("/* dbtune */ grant all on schema {} to {}").format(space, owner))


def _collations(admin: Connection, source: Source) -> None:
    """Other collations sort as the twin's own does; what matters to the planner is only that they are not C."""
    columns = {column.collation for table in source.tables for column in table.columns}
    for name in sorted({*columns, *(one.collation for one in source.types)} - {None}, key=str):
        known = admin.execute(
            "/* dbtune */ select exists (select from pg_collation join pg_namespace on pg_namespace.oid = collnamespace"
            " where format('%%I.%%I', nspname, collname) = %s and collencoding in (-1, 6))",
            (name,),
        ).fetchone()
        if known is None or known[0] is not True:
            text = f"/* dbtune */ create collation {name} (provider = libc, locale = 'C.UTF-8')"
            try:
                with admin.transaction():
                    admin.cursor(binary=True).execute(text.encode())
            except psycopg.Error:
                # Its columns then say that they stand without their peculiarities.
                continue


def _enforce(admin: Connection) -> None:
    """The planner trusts keys only where they are enforced, and looks for them only where there are triggers."""
    enforced = "conenforced = true, " if admin.info.server_version >= schema.NOT_ENFORCED_SINCE else ""
    admin.execute(
        f"/* dbtune */ with keys as (update pg_constraint set {enforced}convalidated = true"
        " where contype = 'f' and not convalidated returning conrelid, confrelid)"
        " update pg_class set relhastriggers = true where oid in (select unnest(array[conrelid, confrelid]) from keys)"
    )


def _grow(admin: Connection, source: Source, data: Path) -> None:
    """Files as long as the source's, B-trees as high, and the counts in pg_class."""
    evict(admin)
    tables, indexes = source.by_name, {(index.schema, index.name): index for index in source.indexes}
    sizes = []
    for relation in relations(admin, data):
        name = (relation.schema, relation.name)
        if table := tables.get(name):
            resize(relation.path, table.pages)
            sizes.append(sizes_of(relation.oid, table))
        elif index := indexes.get(name):
            grow_index(
                relation.path,
                index.pages,
                height_of(index.pages, key_attributes(source, index), index.rows),
                index.method,
            )
            sizes.append({"oid": relation.oid, "relpages": index.relpages, "rows": index.rows, "visible": 0})
    sizes += _partitioned(admin, source)
    set_sizes(admin, sizes)


def grow_index(path: Path, pages: int, height: int, method: str) -> None:
    """What the index's build has written stays at the beginning of the file."""
    least = 2 + height if method == "btree" else pages_of(path)
    resize(path, max(pages, least))
    if method == "btree" and pages > 1:
        write_btree_skeleton(path, height)


def _partitioned(admin: Connection, source: Source) -> Iterator[dict[str, Any]]:
    """They have no file; their number of rows still counts. Unique indexes there were made without their parts."""
    admin.execute(
        "/* dbtune */ update pg_index set indisvalid = true from pg_class"
        " where pg_class.oid = indexrelid and relkind = 'I' and not indisvalid"
    )
    found = admin.execute(
        "/* dbtune */ select pg_class.oid::bigint, nspname, relname from pg_class"
        " join pg_namespace on pg_namespace.oid = relnamespace where relkind = 'p'"
    ).fetchall()
    for oid, space, name in found:
        if table := source.by_name.get((str(space), str(name))):
            yield {"oid": int(str(oid)), "relpages": table.relpages, "rows": table.rows, "visible": 0}


def _foreign_tables(source: Source) -> Iterator[Unexamined]:
    for table in source.tables:
        if table.kind == "f":
            yield Unexamined(f"foreign table {table.qualified}", "only the other server can plan what is read there")
