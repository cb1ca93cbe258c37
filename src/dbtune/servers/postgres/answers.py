"""Answers to the questions that steps ask, each of them read-only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby
from typing import Any

import psycopg
from psycopg import errors, sql

from dbtune.core.questions import Catalog, Explained, Failed, Holds, Normalized, Question
from dbtune.servers.postgres.errors import server_error
from dbtune.servers.postgres.queries import fetch
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection

GENERIC_PLAN_SINCE = 160000
PREPARE = "/* dbtune */ prepare dbtune_generic as "
"""What stands before a statement with `$1`: positions in the server's complaints count from its beginning."""


def answer(connection: Connection, questions: Collection[Question]) -> Mapping[Question, Any]:
    """The answers to those of `questions` that PostgreSQL can answer. Catalog questions are asked in one batch each."""
    answers: dict[Question, Any] = {}
    catalog = [question for question in questions if isinstance(question, Catalog)]
    for batch in _batches(catalog):
        answers |= _answer_catalog(connection, batch)
    for question in questions:
        ask = _asker(connection, question)
        if ask is not None:
            answers[question] = _attempt(connection, ask)
    return answers


def _asker(connection: Connection, question: Question) -> Callable[[], Any] | None:
    match question:
        case Normalized():
            return lambda: _normalize(connection, question)
        case Holds():
            return lambda: _holds(connection, question)
        case Explained():
            return lambda: _explain(connection, question)
        case _:
            return None


def _batches(questions: Iterable[Catalog]) -> Iterable[list[Catalog]]:
    ordered = sorted(questions, key=lambda question: question.query)
    return (list(group) for _, group in groupby(ordered, key=lambda question: question.query))


def _answer_catalog(connection: Connection, batch: list[Catalog]) -> dict[Question, Any]:
    """One statement for all; every question gets all rows, which its asker filters by name."""
    names = sorted({name for question in batch for name in question.names})
    rows = fetch(connection, batch[0].query, batch[0].row, {"names": names})
    return dict.fromkeys(batch, rows)


def _attempt(connection: Connection, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - the question decides
    """An answer, or why there is none: a person's own SQL may well be wrong. A lost connection is still an error."""
    try:
        # Rolled back, so that no answer leaves anything behind for the next one, not even a SET.
        with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            cursor.execute("set transaction read only")
            with users_path(connection):
                return ask()
    except psycopg.Error as error:
        if connection.closed or isinstance(error, errors.AdminShutdown):
            raise server_error(error, "answering a question about the server") from error
        return Failed(
            error.diag.message_primary or str(error),
            hint=error.diag.message_hint,
            for_lack_of_privilege=isinstance(error, errors.InsufficientPrivilege),
        )


def _normalize(connection: Connection, question: Normalized) -> tuple[str, ...]:
    """The output list of a plan that reads nothing: PostgreSQL's own spelling after constant folding."""
    # ONLY and `where false` make the plan one Result node, whose output is the expressions themselves.
    statement = sql.SQL(
        "/* dbtune */ explain (verbose, costs off, format json) select {} from only {} where false"
    ).format(
        sql.SQL(", ").join(sql.SQL("({}\n)").format(sql.SQL(text)) for text in question.expressions),
        sql.Identifier(*question.table),
    )
    row = connection.cursor(binary=True).execute(statement).fetchone()
    plan: Any = row[0] if row else None
    return tuple(plan[0]["Plan"]["Output"])


def _holds(connection: Connection, question: Holds) -> bool:
    # The binary format forces the extended protocol, which takes one statement only: no `; commit; drop table`.
    row = connection.cursor(binary=True).execute(f"/* dbtune */ {question.sql}".encode()).fetchone()
    return bool(row and row[0])


def _explain(connection: Connection, question: Explained) -> dict[str, Any]:
    runs = [explain_once(connection, question) for _ in range(question.repeats)]
    return sorted(runs, key=lambda plan: plan.get("Execution Time", 0))[len(runs) // 2]


def explain_once(connection: Connection, question: Explained) -> dict[str, Any]:
    """The plan, in whatever transaction and on whatever path the caller has opened. Raises psycopg's errors."""
    if not question.params and "$1" in question.sql:
        return _explain_generic(connection, question.sql)
    options = ["verbose", "format json"] + (["analyze", "buffers"] if question.analyze else [])
    statement = f"/* dbtune */ explain ({', '.join(options)}) {question.sql}".encode()
    # Binary forces the extended protocol, as in _holds.
    return _plan(psycopg.RawCursor(connection).execute(statement, question.params or None, binary=True))


def _explain_generic(connection: Connection, statement: str) -> dict[str, Any]:
    """The plan for whatever values the parameters will have.

    EXPLAIN EXECUTE (below 16) and GENERIC_PLAN leave $1 without a value, so neither can use the extended protocol.
    PREPARE can, and goes first in both cases: more than one statement ends there.
    """
    connection.cursor(binary=True).execute(f"{PREPARE}{statement}".encode())
    try:
        # A savepoint: after a failure DEALLOCATE would be refused, and a prepared statement outlives a rollback.
        with connection.transaction():
            if connection.info.server_version >= GENERIC_PLAN_SINCE:
                explained = f"explain (verbose, format json, generic_plan) {statement}"
            else:
                explained = f"explain (verbose, format json) execute {_execution_of_any(connection)}"
            return _plan(connection.execute(f"/* dbtune */ {explained}".encode()))
    finally:
        connection.execute("/* dbtune */ deallocate dbtune_generic")


def _execution_of_any(connection: Connection) -> str:
    """`dbtune_generic` called with as many nulls as it has parameters, in a transaction that keeps to generic plans."""
    connection.execute("/* dbtune */ set local plan_cache_mode = force_generic_plan")
    row = connection.execute(
        "/* dbtune */ select pg_catalog.cardinality(parameter_types) from pg_catalog.pg_prepared_statements"
        " where name operator(pg_catalog.=) 'dbtune_generic'"
    ).fetchone()
    nulls = ", ".join(["null"] * int(str(row[0] if row else 0)))
    return f"dbtune_generic ({nulls})" if nulls else "dbtune_generic"


def _plan(cursor: psycopg.Cursor[tuple[object, ...]]) -> dict[str, Any]:
    row = cursor.fetchone()
    plan: Any = row[0] if row else None
    found: dict[str, Any] = plan[0]
    return found
