"""Indexes that are not there: built on tables made empty for the moment, stretched, and switched off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.source import Source, Table
from dbtune.advisor.what_if import Candidate
from dbtune.servers.embedded.twin_ddl import execute
from dbtune.servers.embedded.twin_files import resize
from dbtune.servers.embedded.twin_load import grow_index, relations, set_sizes, sizes_of
from dbtune.servers.embedded.twin_measures import BuiltColumn, known_statistics, measure
from dbtune.servers.embedded.twin_memory import evict
from dbtune.servers.embedded.twin_sessions import OWNER, Sessions
from dbtune.servers.postgres.errors import translated

PREFIX = "dbtune_candidate_"
_AT_ONCE = 400
_OFF = "/* dbtune */ update pg_index set indisvalid = false where indexrelid = any (%s::bigint[]::oid[])"
_HEURISTIC = frozenset({"gin", "gist", "spgist"})
_BUILT = """/* dbtune */ select index_class.relname, index_class.oid::bigint, place,
 (select attname from pg_attribute where attrelid = indrelid and attnum = indkey[place - 1] and attnum > 0),
 attlen::int, attalign::text, place <= indnkeyatts,
 place <= indnkeyatts and exists (select from pg_amproc join pg_opclass on opcfamily = amprocfamily
   where pg_opclass.oid = indclass[place - 1] and amprocnum = 4 and amproclefttype = opcintype)
from pg_index join pg_class index_class on index_class.oid = indexrelid
join pg_attribute on attrelid = indexrelid join lateral (select attnum::int as place) as places on true
where index_class.relname = any (%s) and relowner = (select oid from pg_roles where rolname = %s)
order by indexrelid, place"""


@dataclass(frozen=True, slots=True)
class _Part:
    """A candidate on one table: the index of a plain table, or of one partition."""

    name: str
    definition: IndexDefinition
    table: Table


@dataclass(frozen=True, slots=True)
class _Built:
    oid: int
    columns: tuple[BuiltColumn, ...]


class Candidates:
    """All that were ever added; none of them is dropped before the twin ends."""

    def __init__(self, source: Source, sessions: Sessions, data: Path) -> None:
        self._source, self._sessions, self._data = source, sessions, data
        self._known: dict[IndexDefinition, Candidate] = {}
        self._oids: dict[IndexDefinition, tuple[int, ...]] = {}
        self._by_name: dict[str, IndexDefinition] = {}
        self._files = {(one.schema, one.name): one for one in relations(sessions.admin, data)}
        self._children: dict[tuple[str, str], list[Table]] = {}
        for table in source.tables:
            for parent in table.parents:
                self._children.setdefault(parent, []).append(table)

    def named(self, name: str) -> IndexDefinition | None:
        return self._by_name.get(name)

    def oids(self, definition: IndexDefinition) -> tuple[int, ...]:
        return self._oids.get(definition, ())

    def add(self, definitions: Iterable[IndexDefinition]) -> Sequence[Candidate]:
        wanted = list(definitions)
        fresh = [one for one in dict.fromkeys(wanted) if one not in self._known]
        parts = {one: self._parts(number, one) for number, one in enumerate(fresh, len(self._known))}
        for one, its_parts in parts.items():
            if not its_parts:
                reason = f"there is no table {one.qualified_table} in the twin that could have an index"
                self._known[one] = Candidate(one, None, reason=reason)
        with translated("making indexes in the twin"):
            self._make({one: its_parts for one, its_parts in parts.items() if its_parts})
        return [self._known[one] for one in wanted]

    def _parts(self, number: int, definition: IndexDefinition) -> list[_Part]:
        table = self._source.by_name.get((definition.schema, definition.table))
        leaves = [] if table is None else list(self._leaves(table))
        return [
            _Part(f"{PREFIX}{number}_{place}", replace(definition, schema=leaf.schema, table=leaf.name), leaf)
            for place, leaf in enumerate(leaves)
        ]

    def _leaves(self, table: Table) -> Iterator[Table]:
        if (table.schema, table.name) in self._files:
            yield table
        elif table.kind == "p":
            for child in self._children.get((table.schema, table.name), ()):
                yield from self._leaves(child)

    def _make(self, wanted: dict[IndexDefinition, list[_Part]]) -> None:
        if not wanted:
            return
        tables = {(part.table.schema, part.table.name): part.table for parts in wanted.values() for part in parts}
        for name in tables:
            resize(self._files[name].path, 0)
        try:
            failed = self._build(wanted)
        finally:
            # Pages that the builds left in memory would come back over what is written into files now.
            evict(self._sessions.admin)
            for name, table in tables.items():
                resize(self._files[name].path, table.pages)
            # Every build has counted the rows of its empty table.
            set_sizes(
                self._sessions.admin,
                [sizes_of(self._files[name].oid, table) for name, table in tables.items()],
            )
        for one, reason in failed.items():
            self._known[one] = Candidate(one, None, reason=reason)
        self._stretch({one: parts for one, parts in wanted.items() if one not in failed})

    def _build(self, wanted: dict[IndexDefinition, list[_Part]]) -> dict[IndexDefinition, str]:
        """All at once; where that fails, each by itself. Why which of them cannot be built."""
        builder = self._sessions.builder
        every = [part for parts in wanted.values() for part in parts]
        try:
            with builder.transaction():
                for start in range(0, len(every), _AT_ONCE):
                    texts = [part.definition.ddl(name=part.name) for part in every[start : start + _AT_ONCE]]
                    execute(builder, ";\n".join(texts))
        except psycopg.Error:
            if builder.broken:
                raise
            return {one: reason for one, parts in wanted.items() if (reason := self._build_one(parts)) is not None}
        return {}

    def _build_one(self, parts: Sequence[_Part]) -> str | None:
        builder = self._sessions.builder
        try:
            with builder.transaction():
                for part in parts:
                    execute(builder, part.definition.ddl(name=part.name), alone=True)
        except psycopg.Error as error:
            if builder.broken:
                raise
            return error.diag.message_primary or str(error).strip()
        return None

    def _stretch(self, made: dict[IndexDefinition, list[_Part]]) -> None:
        """Every file to its estimated size, and every index switched off."""
        admin = self._sessions.admin
        built = self._built([part.name for parts in made.values() for part in parts])
        oids = [one.oid for one in built.values()]
        admin.execute(_OFF, (oids,))
        paths = {one.oid: one.path for one in relations(admin, self._data, oids)}
        sizes = []
        for definition, parts in made.items():
            measured = []
            for part in parts:
                one, rows = built[part.name], self._rows(part)
                size = measure(self._source, part.table, part.definition, one.columns, rows)
                grow_index(paths[one.oid], size.pages, size.height, definition.method)
                sizes.append({"oid": one.oid, "relpages": size.pages, "rows": rows, "visible": 0})
                self._by_name[part.name] = definition
                measured.append((size, rows))
            self._oids[definition] = tuple(built[part.name].oid for part in parts)
            self._known[definition] = Candidate(
                definition,
                size_bytes=sum(size.size_bytes for size, _ in measured),
                rows=sum(rows for _, rows in measured),
                height=max(size.height for size, _ in measured),
                heuristic=definition.method in _HEURISTIC
                or not all(known_statistics(part.table, part.definition) for part in parts),
            )
        set_sizes(admin, sizes)

    def _rows(self, part: _Part) -> float:
        """As many as the planner expects: of a partial index, and of a table that nobody has analyzed."""
        where, is_known = part.definition.where, part.table.rows >= 0
        if where is None and is_known:
            return part.table.built_rows
        condition = "" if where is None else f" where ({where})"
        query = f"explain (format json) select from only {part.table.qualified}{condition}"
        try:
            with self._sessions.planner.transaction():
                row = self._sessions.planner.cursor(binary=True).execute(query.encode()).fetchone()
        except psycopg.Error:
            if self._sessions.planner.broken:
                raise
            return part.table.built_rows
        document: Any = row[0] if row else None
        expected = float(document[0]["Plan"]["Plan Rows"])
        return min(expected, part.table.built_rows) if is_known else expected

    def _built(self, names: list[str]) -> dict[str, _Built]:
        found: dict[str, _Built] = {}
        for name, oid, _, column, length, alignment, is_key, merges in self._sessions.admin.execute(
            _BUILT, (names, OWNER)
        ).fetchall():
            one = BuiltColumn(
                None if column is None else str(column), int(str(length)), str(alignment), bool(is_key), bool(merges)
            )
            before = found.get(str(name))
            found[str(name)] = _Built(int(str(oid)), (*(before.columns if before else ()), one))
        return found
