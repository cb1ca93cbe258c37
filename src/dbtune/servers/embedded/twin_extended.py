"""Extended statistics, put where ANALYZE would put them: PostgreSQL 18 has no function that takes them.

Their types refuse input, so they are written in their stored form (statistics/mvdistinct.c, dependencies.c) through a
cast from bytea that the twin's superuser makes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from dbtune.advisor.source import ExtendedStatistics, Source
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote
from dbtune.servers.postgres.session import Connection

_DISTINCT_MAGIC, _DEPENDENCIES_MAGIC, _BASIC = 0xA352BFA4, 0xB4549A2C, 1
_INSERT = """/* dbtune */ insert into pg_statistic_ext_data
(stxoid, stxdinherit, stxdndistinct, stxddependencies, stxdmcv)
select pg_statistic_ext.oid, %s, %s::bytea::pg_ndistinct, %s::bytea::pg_dependencies, %s::bytea::pg_mcv_list
from pg_statistic_ext join pg_namespace on pg_namespace.oid = stxnamespace where nspname = %s and stxname = %s"""


def load_extended(admin: Connection, source: Source) -> Iterator[Unexamined]:
    """Those of the source that were found to have something in them."""
    wanted = [one for one in source.extended if one.distinct or one.dependencies or one.common_hex]
    if not wanted:
        return
    for kind in ("pg_ndistinct", "pg_dependencies", "pg_mcv_list"):
        admin.execute(f"/* dbtune */ create cast (bytea as {kind}) without function".encode())
    for one in wanted:
        numbers = _numbers(admin, source, one)
        try:
            values = (_distinct(one.distinct, numbers), _dependencies(one.dependencies, numbers), _common(source, one))
            with admin.transaction():
                admin.execute(_INSERT, (one.inherited, *values, one.schema, one.name))
        except (psycopg.Error, ValueError, KeyError) as error:
            yield Unexamined(f"extended statistics {quote(one.schema, one.name)}", f"cannot be carried over: {error}")


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
    if text is None:
        return None
    items = [
        struct.pack("=di", float(count), len(keys)) + _attributes(keys)
        for keys, count in ((_keys(key.split(","), numbers), count) for key, count in json.loads(text).items())
    ]
    return struct.pack("=III", _DISTINCT_MAGIC, _BASIC, len(items)) + b"".join(items)


def _dependencies(text: str | None, numbers: Mapping[int, int]) -> bytes | None:
    """`{"1 => 2": 0.9}`: column 2 follows from column 1 in that share of the rows."""
    if text is None:
        return None
    items = [
        struct.pack("=dh", float(degree), len(keys)) + _attributes(keys)
        for keys, degree in (
            (_keys(key.replace("=>", ",").split(","), numbers), degree) for key, degree in json.loads(text).items()
        )
    ]
    return struct.pack("=III", _DEPENDENCIES_MAGIC, _BASIC, len(items)) + b"".join(items)


def _keys(words: Sequence[str], numbers: Mapping[int, int]) -> list[int]:
    """Expressions have numbers below zero, which stay."""
    return [number if number < 0 else numbers[number] for number in map(int, words)]


def _attributes(keys: Sequence[int]) -> bytes:
    return struct.pack(f"={len(keys)}h", *keys)


def _common(source: Source, one: ExtendedStatistics) -> bytes | None:
    """As the source stores it; only types that have the same number everywhere can be taken."""
    table = source.by_name[one.table_schema, one.table]
    columns = [table.column(name) for name in one.columns]
    if one.common_hex is None or any(column is None or column.type_schema != "pg_catalog" for column in columns):
        return None
    return bytes.fromhex(one.common_hex)
