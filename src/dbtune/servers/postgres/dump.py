"""Reads what the twin is made of from a live server: schema, sizes, statistics, settings, counters. Never a row.

With values, the statistics hold samples of what is in columns, as ANALYZE keeps them; without, none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import errors

from dbtune.advisor.source import Column, Function, Index, Source, Table
from dbtune.core.errors import Misused
from dbtune.core.findings import Unexamined
from dbtune.core.identifiers import quote, split_name
from dbtune.core.progress import Progress, silent
from dbtune.servers.postgres import dump_rows as rows
from dbtune.servers.postgres.dump_ends import with_true_ends
from dbtune.servers.postgres.dump_statements import with_statements
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.search_path import users_path
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

_OID = "/* dbtune */ select pg_catalog.to_regclass(%s)::pg_catalog.oid::pg_catalog.int8"


@dataclass(frozen=True, slots=True)
class _Sequence:
    schema: str
    name: str


def _everything(source: Source) -> Source:
    return source


def read_source(
    connection: Connection,
    tables: Collection[str] | None = None,
    *,
    values: bool = True,
    statements: bool = True,
    keep: Callable[[Source], Source] = _everything,
    progress: Progress = silent,
) -> Source:
    """All of the database's own relations, or those named (`users`, `app.users`) with all that they need.

    `values` False leaves out what ANALYZE keeps of the columns' contents. `keep` may leave out relations of the
    schema, before anything of their contents is read. Raises Misused for a name that is not there.
    """
    oids = None if tables is None else _oids(connection, tables)
    with translated("reading the schema and its statistics"), connection.transaction():
        connection.execute("/* dbtune */ set transaction isolation level repeatable read, read only")
        progress("reading the schema")
        source = _schema(connection, oids)
        if statements:
            source = with_statements(connection, source)
        progress("reading the statistics")
        source = _filled(connection, keep(source), values=values)
        progress("reading the ends of histograms")
        return with_true_ends(connection, source) if values else source


def _schema(connection: Connection, wanted: Sequence[int] | None) -> Source:
    found = fetch(connection, "twin_relations", rows.RelationRow, {"oids": wanted})
    oids = {"oids": [row.oid for row in found]}
    columns = _columns(fetch(connection, "twin_columns", rows.ColumnRow, oids))
    database = fetch(connection, "twin_database", rows.DatabaseRow)[0]
    settings = {row.name: row.value for row in fetch(connection, "twin_settings", rows.SettingRow)}
    return Source(
        version=connection.info.server_version,
        database=database.database,
        taken_at=database.taken_at.isoformat(),
        is_c_collation=database.is_c_collation,
        search_path=settings.pop("search_path", '"$user", public'),
        tables=tuple(row.table(tuple(columns.get(row.oid, ()))) for row in found),
        indexes=tuple(row.index() for row in fetch(connection, "twin_indexes", rows.IndexRow, oids)),
        constraints=tuple(row.constraint() for row in fetch(connection, "twin_constraints", rows.ConstraintRow, oids)),
        types=tuple(row.definition() for row in fetch(connection, "twin_types", rows.TypeRow)),
        functions=fetch(connection, "twin_functions", Function),
        sequences=tuple((row.schema, row.name) for row in fetch(connection, "twin_sequences", _Sequence)),
        extended=tuple(row.extended() for row in fetch(connection, "twin_extended", rows.ExtendedRow, oids)),
        extensions=tuple(_extension(text) for text in database.extensions),
        settings=tuple(sorted(settings.items())),
        statistics_since=None if database.statistics_since is None else database.statistics_since.isoformat(),
        standbys=database.standbys,
    )


def _filled(connection: Connection, source: Source, *, values: bool) -> Source:
    """The same with what ANALYZE found out, and with what could not be had of it."""
    named: list[Table | Index] = [*source.tables, *source.indexes]
    parameters = {"schemas": [one.schema for one in named], "names": [one.name for one in named]}
    found = fetch(connection, "twin_statistics", rows.StatisticsRow, parameters)
    source = _with_known(source, rows.by_relation(found, values=values))
    common, may_see = _common(connection, [table.oid for table in source.tables] if values else [])
    hidden = () if may_see or not any("m" in one.kinds for one in source.extended) else (_NO_COMBINATIONS,)
    return replace(
        source,
        extended=tuple(replace(one, common_hex=common.get((one.schema, one.name))) for one in source.extended),
        has_values=values,
        not_examined=(*_gaps(source.tables, values=values), *hidden, *source.not_examined),
    )


def _with_known(source: Source, known: rows.ByRelation) -> Source:
    """The same, each column and each expression of an index with what is known of it."""
    tables = (
        replace(table, columns=tuple(replace(one, statistics=columns.get(one.name, ())) for one in table.columns))
        if (columns := known.get(table.qualified))
        else table
        for table in source.tables
    )
    indexes = (
        replace(index, statistics=tuple(one for each in columns.values() for one in each))
        if (columns := known.get(index.qualified))
        else index
        for index in source.indexes
    )
    return replace(source, tables=tuple(tables), indexes=tuple(indexes))


def _oids(connection: Connection, names: Collection[str]) -> list[int]:
    """On the role's search path, as statements would find them."""
    found = []
    for name in names:
        schema, table = split_name(name)
        known = quote(*(part for part in (schema, table) if part is not None))
        with translated(f"looking for {name}"), users_path(connection):
            row = connection.execute(_OID, (known,)).fetchone()
        if row is None or row[0] is None:
            raise Misused(f"there is no table {name}", hint="name it with its schema, as in app.users")
        found.append(int(str(row[0])))
    return found


def _columns(found: Iterable[rows.ColumnRow]) -> Mapping[int, list[Column]]:
    columns: dict[int, list[Column]] = {}
    for row in found:
        columns.setdefault(row.table_oid, []).append(row.column())
    return columns


def _extension(text: str) -> tuple[str, str, str]:
    name, _, rest = text.partition(" ")
    schema, _, version = rest.rpartition(" ")
    return (name, split_name(schema)[1], version)


def _common(connection: Connection, oids: Sequence[int]) -> tuple[dict[tuple[str, str], str], bool]:
    """Combinations of values as the server stores them, and whether this role may see those: superusers only."""
    try:
        with connection.transaction():
            found = connection.execute(_COMMON, {"oids": oids}).fetchall()
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
