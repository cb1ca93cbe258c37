"""Reads what the twin is made of from a live server: schema, sizes, statistics, settings, counters. Never a row.

With values, the statistics hold samples of what is in columns, as ANALYZE keeps them; without, none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import errors

from dbtune.advisor.source import Column, Function, Source, Table
from dbtune.core.errors import Misused
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote, split_name
from dbtune.core.progress import Progress, silent
from dbtune.servers.postgres import dump_rows as rows
from dbtune.servers.postgres.dump_ends import with_true_ends
from dbtune.servers.postgres.dump_statements import with_statements
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import Connection

_WITHOUT_VALUES = Unexamined(
    "values of columns",
    "the dump was made without most common values and histograms: a comparison with a constant gets the average"
    " selectivity, a range a third or a two-hundredth of the rows, so skew is not seen and partial indexes are guesses",
    "dump again without --no-values",
)
_NO_COMBINATIONS = Unexamined(
    "most common combinations of extended statistics",
    "only a superuser may read pg_statistic_ext_data: columns that depend on each other are taken as independent",
    "dump as a superuser",
)
_COMMON = (
    "/* dbtune */ select nspname, stxname, encode(stxdmcv::bytea, 'hex') from pg_statistic_ext"
    " join pg_statistic_ext_data on stxoid = pg_statistic_ext.oid join pg_namespace on pg_namespace.oid = stxnamespace"
    " where stxdmcv is not null and stxrelid = any (%(oids)s::bigint[]::oid[])"
)


@dataclass(frozen=True, slots=True)
class _Sequence:
    schema: str
    name: str


def read_source(
    connection: Connection,
    tables: Collection[str] | None = None,
    *,
    values: bool = True,
    statements: bool = True,
    progress: Progress = silent,
) -> Source:
    """All of the database's own relations, or those named (`users`, `app.users`) with all that they need.

    `values` False leaves out what ANALYZE keeps of the columns' contents. Raises Misused for a name that is not there.
    """
    oids = None if tables is None else _oids(connection, tables)
    with translated("reading the schema and its statistics"), connection.transaction():
        connection.execute("/* dbtune */ set transaction isolation level repeatable read, read only")
        # Every name that PostgreSQL prints is then qualified.
        connection.execute("/* dbtune */ set local search_path = ''")
        progress("reading schema and statistics")
        source = _read(connection, oids, values=values)
        if statements:
            source = with_statements(connection, source)
        progress("reading the ends of histograms")
        return with_true_ends(connection, source) if values else source


def _read(connection: Connection, wanted: Sequence[int] | None, *, values: bool) -> Source:
    found = fetch(connection, "twin_relations", rows.RelationRow, {"oids": wanted})
    oids = {"oids": [row.oid for row in found]}
    indexes = fetch(connection, "twin_indexes", rows.IndexRow, oids)
    named: list[rows.RelationRow | rows.IndexRow] = [*found, *indexes]
    statistics = rows.by_relation(
        fetch(
            connection,
            "twin_statistics",
            rows.StatisticsRow,
            {"schemas": [row.schema for row in named], "names": [row.name for row in named]},
        ),
        values=values,
    )
    columns = _columns(fetch(connection, "twin_columns", rows.ColumnRow, oids), found, statistics)
    database = fetch(connection, "twin_database", rows.DatabaseRow)[0]
    settings = {row.name: row.value for row in fetch(connection, "twin_settings", rows.SettingRow)}
    tables = tuple(row.table(columns.get(row.oid, ())) for row in found)
    common, may_see = _common(connection, oids if values else {"oids": []})
    extended = tuple(row.extended(common) for row in fetch(connection, "twin_extended", rows.ExtendedRow, oids))
    return Source(
        version=connection.info.server_version,
        database=database.database,
        taken_at=database.taken_at.isoformat(),
        is_c_collation=database.is_c_collation,
        search_path=settings.pop("search_path", '"$user", public'),
        tables=tables,
        indexes=tuple(row.index(statistics) for row in indexes),
        constraints=tuple(row.constraint() for row in fetch(connection, "twin_constraints", rows.ConstraintRow, oids)),
        types=tuple(row.definition() for row in fetch(connection, "twin_types", rows.TypeRow)),
        functions=fetch(connection, "twin_functions", Function),
        sequences=tuple((row.schema, row.name) for row in fetch(connection, "twin_sequences", _Sequence)),
        extended=extended,
        extensions=tuple(_extension(text) for text in database.extensions),
        settings=tuple(sorted(settings.items())),
        statistics_since=None if database.statistics_since is None else database.statistics_since.isoformat(),
        standbys=database.standbys,
        has_values=values,
        not_examined=tuple(_gaps(tables, values=values))
        + (() if may_see or not any("m" in one.kinds for one in extended) else (_NO_COMBINATIONS,)),
    )


def _oids(connection: Connection, names: Collection[str]) -> list[int]:
    """In the session's own search path, as statements would find them."""
    found = []
    for name in names:
        schema, table = split_name(name)
        known = quote(*(part for part in (schema, table) if part is not None))
        with translated(f"looking for {name}"):
            row = connection.execute("/* dbtune */ select to_regclass(%s)::oid::bigint", (known,)).fetchone()
        if row is None or row[0] is None:
            raise Misused(f"there is no table {name}", hint="name it with its schema, as in app.users")
        found.append(int(str(row[0])))
    return found


def _columns(
    found: Iterable[rows.ColumnRow], relations: Iterable[rows.RelationRow], statistics: rows.ByRelation
) -> Mapping[int, tuple[Column, ...]]:
    names = {row.oid: quote(row.schema, row.name) for row in relations}
    columns: dict[int, tuple[Column, ...]] = {}
    for row in found:
        one = row.column(statistics.get(names[row.table_oid], ()))
        columns[row.table_oid] = (*columns.get(row.table_oid, ()), one)
    return columns


def _extension(text: str) -> tuple[str, str, str]:
    name, _, rest = text.partition(" ")
    schema, _, version = rest.rpartition(" ")
    return (name, split_name(schema)[1], version)


def _common(connection: Connection, oids: Mapping[str, Any]) -> tuple[dict[tuple[str, str], str], bool]:
    """Combinations of values as the server stores them, and whether this role may see those: superusers only."""
    try:
        with connection.transaction():
            found = connection.execute(_COMMON, oids).fetchall()
    except errors.InsufficientPrivilege:
        return {}, False
    return {(str(schema), str(name)): str(common) for schema, name, common in found}, True


def _gaps(tables: Iterable[Table], *, values: bool) -> Iterator[Unexamined]:
    for table in tables:
        if table.kind not in ("r", "m"):
            continue
        if table.unreadable:
            yield Unexamined(
                f"statistics of {table.qualified}",
                "this role may not read the table, or row-level security hides it: pg_stats shows it nothing,"
                " so the planner guesses",
                f"grant select on {table.qualified} to the role, or pg_read_all_data",
            )
        elif table.rows < 0 or not any(column.statistics for column in table.columns):
            yield Unexamined(
                f"statistics of {table.qualified}",
                "it has never been analyzed" if table.pages else "it is empty, or has never been analyzed",
                f"analyze {table.qualified}",
            )
    if not values:
        yield _WITHOUT_VALUES
