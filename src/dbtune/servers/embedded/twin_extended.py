"""Extended statistics, put where ANALYZE would put them: there is no function that takes them, not in 18 either.

Their types refuse input, so they are written in their stored form (statistics/mvdistinct.c, dependencies.c) through a
cast from bytea that the twin's superuser makes, and takes away again: nobody else shall feed bytes to those types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import psycopg

from dbtune.advisor.arrays import counted
from dbtune.advisor.source import ExtendedStatistics, Source
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote
from dbtune.servers.embedded.twin_combinations import Dimension, checked
from dbtune.servers.postgres.session import Connection

_DISTINCT_MAGIC, _DEPENDENCIES_MAGIC, _BASIC = 0xA352BFA4, 0xB4549A2C, 1
_KINDS = ("pg_ndistinct", "pg_dependencies", "pg_mcv_list")
_MOST_COLUMNS = 8
"""STATS_MAX_DIMENSIONS."""
_INHERITED_SINCE, _EXPRESSIONS_SINCE = 150000, 140000
_VALUES = "%(distinct)s::bytea::pg_ndistinct, %(dependencies)s::bytea::pg_dependencies, %(common)s::bytea::pg_mcv_list"
_NAMED = """from pg_statistic_ext join pg_namespace on pg_namespace.oid = stxnamespace
where nspname = %(schema)s and stxname = %(name)s"""
_INSERT = f"""/* dbtune */ insert into pg_statistic_ext_data
(stxoid, stxdinherit, stxdndistinct, stxddependencies, stxdmcv)
select pg_statistic_ext.oid, %(inherited)s::boolean, {_VALUES} {_NAMED}"""
_UPDATE = f"""/* dbtune */ update pg_statistic_ext_data set (stxdndistinct, stxddependencies, stxdmcv) = row ({_VALUES})
where stxoid = (select pg_statistic_ext.oid {_NAMED})"""


def load_extended(admin: Connection, builder: Connection, source: Source) -> Iterator[Unexamined]:
    """Those of the source that were found to have something in them. `builder` owns the tables."""
    wanted = [one for one in source.extended if one.distinct or one.dependencies or one.common_hex]
    if not wanted:
        return
    for kind in _KINDS:
        admin.execute(f"/* dbtune */ create cast (bytea as {kind}) without function".encode())
    for one in wanted:
        thing = f"extended statistics {quote(one.schema, one.name)}"
        common = None
        try:
            common = _common(admin, builder, one)
        except (psycopg.Error, ValueError) as error:
            if builder.broken:
                raise
            yield Unexamined(f"most common combinations of {thing}", f"cannot be carried over: {error}")
        try:
            numbers = _numbers(admin, source, one)
            found = {
                "distinct": _distinct(one.distinct, numbers),
                "dependencies": _dependencies(one.dependencies, numbers),
                "common": common,
            }
            _put(admin, one, found)
        except (psycopg.Error, ValueError, KeyError) as error:
            if admin.broken:
                raise
            yield Unexamined(thing, f"cannot be carried over: {error}")
    for kind in _KINDS:
        admin.execute(f"/* dbtune */ drop cast (bytea as {kind})".encode())


def _put(admin: Connection, one: ExtendedStatistics, found: Mapping[str, bytes | None]) -> None:
    # Before 15 there is one row, from the beginning; since then children are counted apart.
    statement = _INSERT if admin.info.server_version >= _INHERITED_SINCE else _UPDATE
    with admin.transaction():
        admin.execute(statement.encode(), {**found, "inherited": one.inherited, "schema": one.schema, "name": one.name})


def _numbers(admin: Connection, source: Source, one: ExtendedStatistics) -> Mapping[int, int]:
    """From the source's column numbers to the twin's: dropped columns leave gaps there."""
    table = source.by_name[one.table_schema, one.table]
    found = admin.execute(
        "/* dbtune */ select attname, attnum::int from pg_attribute where attrelid = to_regclass(%s) and attnum > 0",
        (table.qualified,),
    ).fetchall()
    ours = {str(name): int(str(number)) for name, number in found}
    return {column.number: ours[column.name] for column in table.columns if column.name in ours}


def _distinct(text: str | None, numbers: Mapping[int, int]) -> bytes | None:
    """`{"1, 2": 100}`: so many combinations of columns 1 and 2."""
    items = [
        struct.pack("=di", count, len(keys)) + _attributes(keys)
        for keys, count in ((_keys(key.split(","), numbers), count) for key, count in counted(text))
    ]
    return struct.pack("=III", _DISTINCT_MAGIC, _BASIC, len(items)) + b"".join(items) if items else None


def _dependencies(text: str | None, numbers: Mapping[int, int]) -> bytes | None:
    """`{"1 => 2": 0.9}`: column 2 follows from column 1 in that share of the rows."""
    items = [
        struct.pack("=dh", degree, len(keys)) + _attributes(keys)
        for keys, degree in (
            (_keys(key.replace("=>", ",").split(","), numbers), degree) for key, degree in counted(text)
        )
    ]
    return struct.pack("=III", _DEPENDENCIES_MAGIC, _BASIC, len(items)) + b"".join(items) if items else None


def _keys(words: Sequence[str], numbers: Mapping[int, int]) -> list[int]:
    """Expressions have numbers below zero, which stay."""
    wanted = [int(word) for word in words]
    if unknown := [number for number in wanted if number not in numbers and not -_MOST_COLUMNS <= number < 0]:
        raise ValueError(f"there is no column {unknown[0]}")
    keys = [numbers.get(number, number) for number in wanted]
    if not 2 <= len(keys) <= _MOST_COLUMNS:
        raise ValueError(f"statistics of {len(keys)} columns")
    return keys


def _attributes(keys: Sequence[int]) -> bytes:
    return struct.pack(f"={len(keys)}h", *keys)


def _common(admin: Connection, builder: Connection, one: ExtendedStatistics) -> bytes | None:
    """As the source stores it; only types that have the same number everywhere can be taken."""
    return None if one.common_hex is None else checked(bytes.fromhex(one.common_hex), _dimensions(admin, builder, one))


def _dimensions(admin: Connection, builder: Connection, one: ExtendedStatistics) -> list[Dimension]:
    """Of the columns, in their order, then of the expressions, as the twin itself sees them."""
    has_expressions = admin.info.server_version >= _EXPRESSIONS_SINCE
    expressions_of = "pg_get_statisticsobjdef_expressions(pg_statistic_ext.oid)" if has_expressions else "null::text[]"
    row = admin.execute(
        "/* dbtune */ select (select array_agg(attname::text order by attnum) from pg_attribute"
        f" where attrelid = stxrelid and attnum = any (stxkeys)), {expressions_of} {_NAMED}".encode(),
        {"schema": one.schema, "name": one.name},
    ).fetchone()
    if row is None:
        raise ValueError("there are no such statistics in the twin")
    columns, expressions = cast("tuple[list[str] | None, list[str] | None]", row)
    shown = [*map(quote, columns or ()), *(f"({expression})" for expression in expressions or ())]
    # Binary forces the extended protocol: one statement, whatever an expression may hold. It is only described.
    described = builder.cursor(binary=True).execute(
        f"select {', '.join(shown)} from only {quote(one.table_schema, one.table)} limit 0".encode()
    )
    oids = [column.type_code for column in described.description or ()]
    found = admin.execute(
        "/* dbtune */ select oid::bigint, typname::text, typlen::int, typbyval from pg_type"
        " where oid = any (%s::bigint[]::oid[])",
        (oids,),
    ).fetchall()
    types = {
        int(str(oid)): Dimension(int(str(oid)), str(name), int(str(length)), by_value is True)
        for oid, name, length, by_value in found
    }
    return [types[oid] for oid in oids]
