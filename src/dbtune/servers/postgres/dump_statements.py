"""The workload of a dump: the statements that pg_stat_statements keeps of this database, the dearest first."""

from __future__ import annotations

from dataclasses import replace

import psycopg
from psycopg import sql

from dbtune.advisor.source import Source, Statement
from dbtune.core.findings import Unexamined
from dbtune.servers.postgres.counters import Extension
from dbtune.servers.postgres.marking import MARK
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import Connection

MOST_STATEMENTS = 5000
"""pg_stat_statements.max by default."""
_HIDDEN = "<insufficient privilege>"
_QUERY = """/* dbtune */
select coalesce(queryid::text, ''), min(query), sum(calls)::bigint, sum(total_exec_time)::float8 / 1000,
    sum(rows)::bigint, count(*)
from {} where dbid = (select oid from pg_database where datname = current_database())
group by queryid order by 4 desc, 1 limit {}"""


def with_statements(connection: Connection, source: Source) -> Source:
    """The same with its workload; where that cannot be had, with the reason."""
    found = fetch(connection, "baseline_extension", Extension)
    if not found:
        return _without(
            source,
            "pg_stat_statements is not installed in this database",
            "put it into shared_preload_libraries, restart, and `create extension pg_stat_statements`",
        )
    query = sql.SQL(_QUERY).format(sql.Identifier(found[0].schema, "pg_stat_statements"), MOST_STATEMENTS)
    try:
        with connection.transaction():
            listed = connection.execute(query).fetchall()
    except psycopg.Error as error:
        return _without(
            source,
            f"pg_stat_statements cannot be read: {error.diag.message_primary}",
            "shared_preload_libraries = 'pg_stat_statements'",
        )
    statements = tuple(
        # What may not be read stays, as it is calls that nobody can advise on.
        Statement(str(queryid), str(query or _HIDDEN), int(str(calls)), float(str(total)), int(str(rows)))
        for queryid, query, calls, total, rows, _ in listed
        if MARK not in str(query)
    )
    hidden = sum(int(str(number)) for _, query, _, _, _, number in listed if query in (None, _HIDDEN))
    source = replace(source, statements=statements)
    if hidden:
        return _without(source, f"{hidden} statements are other roles'", "grant pg_read_all_stats to this role")
    return source


def _without(source: Source, reason: str, hint: str) -> Source:
    return replace(source, not_examined=(*source.not_examined, Unexamined("statements", reason, hint)))
