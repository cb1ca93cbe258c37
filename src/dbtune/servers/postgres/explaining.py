"""One statement explained, and executed where that is asked for and can be taken back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import errors, sql

from dbtune.core.errors import Misused, Refused, Unsupported
from dbtune.core.identifiers import quote
from dbtune.core.questions import Explained
from dbtune.core.units import format_duration
from dbtune.plans.insight import Surroundings, TableFacts
from dbtune.plans.parameters import acceptable, typed, with_type_of, with_types, with_types_everywhere
from dbtune.plans.plan import Plan
from dbtune.plans.reach import Callee, called_names, changed_tables, only_reads, reaches_outside
from dbtune.plans.tree import nodes
from dbtune.servers.postgres.acting import acting_role, become, explain_as, forget, statement_roles
from dbtune.servers.postgres.answers import PREPARE, explain_once
from dbtune.servers.postgres.counters import Extension
from dbtune.servers.postgres.errors import server_error, translated
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection

_MOST_ROUNDS = 8
"""How deep functions that call functions are followed; beyond it nothing is known, and nothing executed."""
_MOST_GUESSES = 20
"""Parameters whose type is guessed, one at a time, before the statement is given up."""
_HOW_TO_WRITE = "leave out --analyze, or add --allow-writes: it then runs in a transaction that is rolled back"
_NO_STATEMENTS = "`create extension pg_stat_statements`, with shared_preload_libraries = 'pg_stat_statements'"


@dataclass(frozen=True, slots=True)
class Execution:
    """How far to go: planned only, executed, executed although it writes. `timeout_s` is the session's own limit.

    `role` is the one with whose rights that is done; None stands for the session's own (see `acting`).
    """

    analyze: bool = False
    allow_writes: bool = False
    timeout_s: float = 30.0
    role: str | None = None


@dataclass(frozen=True, slots=True)
class _Setting:
    work_mem_bytes: int


def plan_statement(
    connection: Connection, statement: str, params: Sequence[Any], execution: Execution
) -> tuple[dict[str, Any], bool]:
    """PostgreSQL's JSON, and whether the statement writes or was allowed to.

    Raises Misused, Refused or what the connection raises.
    """
    # Sessions of dbtune have JIT off; a plan has to be the one that the application gets.
    with translated("preparing the session"):
        connection.execute("/* dbtune */ reset jit")
    planned, text = plan_with_types(connection, statement, params, execution)
    changes = any(node.get("Node Type") in ("ModifyTable", "LockRows") for node in nodes(planned))
    writes = changes or not only_reads(statement)
    if not execution.analyze:
        return planned, writes
    if writes and not execution.allow_writes:
        raise Misused(
            "the statement changes data or locks rows, and is not executed",
            hint=_HOW_TO_WRITE,
        )
    _keep_inside(connection, statement, planned)
    question = Explained(text, tuple(params), analyze=True)
    return _run(connection, question, execution), writes or execution.allow_writes


def statement_text(connection: Connection, queryid: int) -> tuple[str, str | None]:
    """The text of pg_stat_statements, and with whose rights it may be planned (see `Execution`).

    Raises Unsupported, Refused, or Misused where it has no such statement.
    """
    found = fetch(connection, "baseline_extension", Extension)
    if not found:
        raise Unsupported("pg_stat_statements is not installed in this database", hint=_NO_STATEMENTS)
    query = sql.SQL(
        "/* dbtune */ select query, userid::bigint from {} where queryid = %s"
        " order by dbid = (select oid from pg_database where datname = current_database()) desc, calls desc limit 1"
    ).format(sql.Identifier(found[0].schema, "pg_stat_statements"))
    try:
        row = connection.execute(query, (queryid,)).fetchone()
    except errors.ObjectNotInPrerequisiteState as error:
        raise Unsupported("pg_stat_statements is not loaded", hint=_NO_STATEMENTS) from error
    except psycopg.Error as error:
        raise server_error(error, "reading pg_stat_statements") from error
    if row is None:
        raise Misused(
            f"pg_stat_statements has no statement {queryid}",
            hint="it may have been evicted or reset; `dbtune audit` lists the ids it has",
        )
    if row[0] is None or row[0] == "<insufficient privilege>":
        raise Refused(f"this role may not read the text of statement {queryid}", hint="grant pg_read_all_stats to it")
    user = int(str(row[1]))
    return str(row[0]), acting_role([user], statement_roles(connection, [user]))


def surroundings(connection: Connection, plan: Plan, statement: str | None) -> Surroundings:
    """What the server knows of the plan's tables, and its work_mem; what it does not tell is left out."""
    names = sorted(
        {quote(*(part for part in (node.schema, node.relation) if part)) for node in plan.nodes if node.relation}
    )
    try:
        tables = fetch(connection, "explain_tables", TableFacts, {"names": names}) if names else ()
        settings = fetch(connection, "explain_settings", _Setting)
    except Refused:
        return Surroundings(statement=statement)
    return Surroundings(tables, settings[0].work_mem_bytes if settings else None, statement)


def plan_with_types(
    connection: Connection, statement: str, params: Sequence[Any], execution: Execution
) -> tuple[dict[str, Any], str]:
    """The plan and the text that has it: refused only for want of a type of `$1`, it is tried again with one."""
    only_plan = replace(execution, analyze=False, allow_writes=False)
    text = statement
    for _ in range(_MOST_GUESSES):
        try:
            return _run(connection, Explained(text, tuple(params)), only_plan), text
        except Misused as refusal:
            cause = refusal.__cause__
            if params:
                better = typed(text) if isinstance(cause, errors.SyntaxError) else text
            else:
                better = _guessed(text, cause) if "$1" in text else text
            if better == text:
                raise
            text = better
    raise Misused("the statement cannot be explained: too many of its parameters have no type", hint="give --param")


def _guessed(text: str, error: BaseException | None) -> str:
    """The text with a type where the server missed one; unchanged where that was not its complaint."""
    if isinstance(error, errors.SyntaxError):
        return acceptable(text)
    if isinstance(error, errors.AmbiguousFunction):
        position = error.diag.statement_position or error.diag.internal_position
        return with_types(text, int(position) - 1 - len(PREPARE)) if position else text
    if isinstance(error, errors.IndeterminateDatatype):
        number = re.search(r"\$(\d+)", error.diag.message_primary or "")
        return with_type_of(text, int(number[1])) if number else text
    if isinstance(error, errors.UndefinedFunction | errors.DatatypeMismatch):
        return with_types_everywhere(text)
    return text


def _run(connection: Connection, question: Explained, execution: Execution) -> dict[str, Any]:
    """In a transaction that is rolled back, read only unless writing is allowed (a function may write as well)."""
    writes = execution.allow_writes and question.analyze
    try:
        if execution.role is not None:
            return _run_as(connection, question, execution.role, read_only=not writes)
        with connection.transaction(force_rollback=True):
            connection.execute(f"/* dbtune */ set transaction {'read write' if writes else 'read only'}".encode())
            with users_path(connection):
                return explain_once(connection, question)
    except errors.QueryCanceled as error:
        raise Refused(
            f"the statement did not end within {format_duration(execution.timeout_s)}",
            hint="give it more with --timeout 5min, or leave out --analyze",
        ) from error
    except errors.LockNotAvailable as error:
        raise Refused("the statement waits for a lock that another session holds", hint="try again later") from error
    except errors.ReadOnlySqlTransaction as error:
        if execution.allow_writes:
            raise server_error(error, "explaining the statement") from error
        raise Misused(f"the statement is not executed: {error.diag.message_primary}", hint=_HOW_TO_WRITE) from error
    except errors.InsufficientPrivilege as error:
        raise server_error(error, "explaining the statement") from error
    except psycopg.Error as error:
        if error.sqlstate is None or isinstance(error, errors.AdminShutdown | errors.CrashShutdown):
            raise server_error(error, "explaining the statement") from error
        raise Misused(
            f"the statement cannot be explained: {error.diag.message_primary or error}", hint=error.diag.message_hint
        ) from error


def _run_as(connection: Connection, question: Explained, role: str, *, read_only: bool) -> dict[str, Any]:
    try:
        with connection.transaction(force_rollback=True):
            become(connection, role, read_only=read_only)
            with users_path(connection):
                return explain_as(connection, question)
    finally:
        forget(connection)


def _keep_inside(connection: Connection, statement: str, planned: Mapping[str, Any]) -> None:
    """Raises Misused for a statement whose execution could not be taken back."""
    names = called_names([statement, *_texts(planned)])
    tables = frozenset(
        quote(*(part for part in (node.get("Schema"), node.get("Relation Name")) if part))
        for node in nodes(planned)
        if node["Node Type"] == "ModifyTable" and "Relation Name" in node
    )
    reasons = sorted(_reasons(connection, names, tables))
    if reasons:
        raise Misused(
            f"the statement is not executed: {'; '.join(reasons[:5])}",
            hint="a rollback could not take that back: leave out --analyze",
        )


def _reasons(connection: Connection, names: frozenset[str], tables: frozenset[str]) -> Iterator[str]:
    known: set[Callee] = set()
    for _ in range(_MOST_ROUNDS):
        asked = {"names": sorted(names), "tables": sorted(tables)}
        new = set(fetch(connection, "explain_functions", Callee, asked)) - known
        if not new:
            return
        known |= new
        yield from (reason for callee in new if (reason := reaches_outside(callee)) is not None)
        bodies = [callee.definition or "" for callee in new if callee.is_open]
        names |= called_names(bodies)
        tables |= frozenset().union(*map(changed_tables, bodies))
    yield "its functions call each other too deeply to be followed"


def _texts(planned: Mapping[str, Any]) -> Iterable[str]:
    """Everything that the server printed of the plan."""
    waiting: list[Any] = [planned]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
