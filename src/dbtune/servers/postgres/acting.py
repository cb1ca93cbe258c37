"""Statements of other roles, planned with those roles' rights.

The planner runs code: immutable functions of constants, what views, index expressions and domains call. Of a statement
found on the server all of that may be its role's own, and would run with the rights of whoever runs dbtune. `set role`
is no way out, as a function may take it back. Within a function that is SECURITY DEFINER, PostgreSQL lets nobody change
role: so one is made that belongs to the statement's role, in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbtune.advisor.texts import count_parameters
from dbtune.core.errors import Refused, Unsupported
from dbtune.core.questions import Explained
from dbtune.servers.postgres.answers import GENERIC_PLAN_SINCE, PREPARE
from dbtune.servers.postgres.counters import Extension
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.session import Connection

# Errors within it count their position from the beginning of what it prepares, as those of the statement itself do.
_MAKE = f"""/* dbtune */ create function pg_temp.dbtune_plan(statement text, options text, arguments text)
returns json language plpgsql security definer as $$
declare
    found json;
begin
    if arguments is null then
        execute '/* dbtune */ explain (' || options || ') ' || statement into found;
    else
        execute '{PREPARE}' || statement;
        execute '/* dbtune */ explain (' || options || ') ' || arguments into found;
    end if;
    return found;
end $$"""
_HINT = "run dbtune as {0}, or as a role that is no superuser and may read pg_stat_statements (pg_read_all_stats)"


@dataclass(frozen=True, slots=True)
class StatementRole:
    """`name` is None where the role is gone. One that is trusted could gain nothing by this session's rights."""

    role_id: int
    name: str | None
    is_trusted: bool


def statement_roles(connection: Connection, ids: Iterable[int]) -> Mapping[int, StatementRole]:
    """By oid, all of `ids`."""
    rows = fetch(connection, "statement_roles", StatementRole, {"ids": sorted(set(ids))})
    return {row.role_id: row for row in rows}


def acting_role(users: Sequence[int], known: Mapping[int, StatementRole]) -> str | None:
    """With whose rights a statement of `users` is planned; None: with this session's own. Raises Refused."""
    for role in (known[user] for user in users):
        if not role.is_trusted and role.name is None:
            raise Refused(
                "the statement's role is gone, and its code is not run with the rights of this one",
                hint="give the statement itself, once you have read it",
            )
        if not role.is_trusted:
            return role.name
    return None


def trusted_queryids(connection: Connection) -> frozenset[str]:
    """Statements of this database that may be run with this session's own rights: nobody else has run them whom those
    would serve.
    """
    found = fetch(connection, "baseline_extension", Extension)
    if not found:
        return frozenset()
    query = sql.SQL(
        "/* dbtune */ select queryid::text, array_agg(distinct userid::bigint) from {}(false)"
        " where dbid = (select oid from pg_database where datname = current_database()) and queryid is not null"
        " group by queryid"
    ).format(sql.Identifier(found[0].schema, "pg_stat_statements"))
    with translated("reading whose the statements are"), connection.cursor(row_factory=tuple_row) as cursor:
        users: dict[str, list[int]] = dict(cursor.execute(query).fetchall())
    roles = statement_roles(connection, (user for each in users.values() for user in each))
    return frozenset(queryid for queryid, each in users.items() if all(roles[user].is_trusted for user in each))


def become(connection: Connection, role: str, *, read_only: bool) -> None:
    """Within a transaction that will be rolled back: from here on `explain_as` can be asked, and, where it is
    `read_only`, nothing can be written. Raises Refused, Unsupported.
    """
    try:
        connection.execute("/* dbtune */ set transaction read write")
        connection.execute(_MAKE.encode())
        owned = sql.SQL("/* dbtune */ alter function pg_temp.dbtune_plan owner to {}").format(sql.Identifier(role))
        connection.execute(owned)
    except errors.FeatureNotSupported as error:
        raise Unsupported(
            f"a statement of {role} is not planned with the rights of this role, and a replica knows no other way",
            hint=_HINT.format(role),
        ) from error
    except errors.InsufficientPrivilege as error:
        raise Refused(
            f"a statement of {role} is not planned with the rights of this role, which may not take on those of {role}",
            hint=_HINT.format(role),
        ) from error
    if read_only:
        connection.execute("/* dbtune */ set transaction read only")


def explain_as(connection: Connection, question: Explained) -> dict[str, Any]:
    """As `explain_once`, with the rights of the role that `become` was told. Raises psycopg's errors."""
    options = ["verbose", "format json"] + (["analyze", "buffers"] if question.analyze else [])
    count, arguments = count_parameters(question.sql), None
    if question.params:
        given = sql.SQL(", ").join(map(sql.Literal, question.params))
        arguments = sql.SQL("execute dbtune_generic ({})").format(given).as_string(connection)
    elif count and connection.info.server_version >= GENERIC_PLAN_SINCE:
        options.append("generic_plan")
        arguments = question.sql
    elif count:
        connection.execute("/* dbtune */ set local plan_cache_mode = force_generic_plan")
        arguments = f"execute dbtune_generic ({', '.join(['null'] * count)})"
    row = connection.execute(
        "/* dbtune */ select pg_temp.dbtune_plan(%s::pg_catalog.text, %s::pg_catalog.text, %s::pg_catalog.text)",
        (question.sql, ", ".join(options), arguments),
    ).fetchone()
    plan: Any = row[0] if row else None
    found: dict[str, Any] = plan[0]
    return found


def forget(connection: Connection) -> None:
    """What the role has prepared outlives the rollback."""
    if not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        connection.execute("/* dbtune */ deallocate all")
