"""A warm-up's rows as PostgreSQL makes them: key, value, and what else the form needs, bytes throughout."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.postgres import types

from dbtune.core.actions import WarmKeys
from dbtune.core.errors import ChangeFailed, DbtuneError
from dbtune.core.key_template import KeyTemplate
from dbtune.core.query_text import bare_query
from dbtune.servers.postgres.errors import translated
from dbtune.servers.postgres.search_path import users_path
from dbtune.servers.postgres.session import Connection
from dbtune.servers.redis.qualified import NO_BYTES, argument, as_text, gathered, in_bytes, joined, twice

CURSOR = "dbtune_warm"
_BYTEA, _INTERVAL, _JSON, _JSONB = (types[name].oid for name in ("bytea", "interval", "json", "jsonb"))
# Of a type that an extension brought, the equality may lie in any schema; no role but a superuser makes an operator
# class.
_TYPE = """/* dbtune */ select format_type(%(type)s::oid, null), coalesce(
    (select format('operator(%%I.%%s)', nspname, oprname)
       from pg_opclass join pg_am on pg_am.oid = opcmethod and amname = 'btree'
       join pg_amop on amopfamily = opcfamily and amopstrategy = 3 and amoplefttype = opcintype
                   and amoprighttype = opcintype
       join pg_operator on pg_operator.oid = amopopr join pg_namespace on pg_namespace.oid = oprnamespace
      where opcdefault and opcintype = %(type)s::oid), 'operator(pg_catalog.=)')"""
_ARRAYS = frozenset(info.array_oid for info in types if info.array_oid)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns the rows have after key and value: `count` of arguments, `ttl` in milliseconds, `version`."""

    count: int | None = None
    ttl: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """An open cursor, at its beginning. `keys_differ`: PostgreSQL has proved that no two rows have the same key.

    `start_over` puts the cursor there again; `rows_expected` is the planner's estimate.
    """

    shape: Shape
    keys_differ: bool
    rows_expected: int
    start_over: Callable[[], None]


@contextmanager
def opened_source(connection: Connection, action: WarmKeys) -> Iterator[Source]:
    """The cursor, in one snapshot that sees the database as it is now.

    The transaction is read-only: the server refuses a query that writes. Texts come in UTF-8, bytea as it is.
    Raises ChangeFailed for a query that does not run or lacks a column of the template, before the first row.
    """
    with translated(f"reading the rows of {action.key}"), connection.transaction():
        connection.execute("/* dbtune */ set transaction isolation level repeatable read, read only")
        # What an application's client would have read, whatever this role or this database prefers. All rows are
        # wanted, not the first ones soon; and a slow cache must not end the transaction.
        connection.execute(
            "/* dbtune */ select set_config('client_encoding', 'UTF8', true),"
            " set_config('datestyle', 'ISO, YMD', true), set_config('cursor_tuple_fraction', '1', true),"
            " set_config('idle_in_transaction_session_timeout', '0', true)"
        )
        with users_path(connection):
            query = _Query(connection, action)
        statement, shape = query.statement()
        differ = query.keys_differ(connection)
        cursor = sql.Identifier(CURSOR)
        declared = sql.SQL("/* dbtune */ declare {} no scroll cursor for {}").format(cursor, statement)

        def start_over() -> None:
            connection.execute(sql.SQL("/* dbtune */ close {}").format(cursor))
            connection.execute(declared)

        # Until the last row: functions that the query calls find their names there as well.
        with users_path(connection):
            connection.execute(declared)
            yield Source(shape, differ, _rows_expected(connection, statement), start_over)


class _Query:
    """The person's query within ours, so that the server makes the keys and the values.

    It is read on the person's search path: every function, operator and type of ours is called pg_catalog's.
    """

    def __init__(self, connection: Connection, action: WarmKeys) -> None:
        self._action = action
        try:
            query = bare_query(action.query)
            nested = [(name, bare_query(text)) for name, text in action.nested]
        except ValueError as error:
            raise ChangeFailed(f"reading the rows of {action.key}: {error}", hint="correct the step's query") from error
        # A newline ends a comment that the query ends with.
        self._inner: sql.Composable = sql.SQL("(\n{}\n) as q").format(_verbatim(query))
        if nested:
            self._inner = self._with(connection, query, nested)
        self._types = _types(connection, self._inner)
        self._template = KeyTemplate.parse(action.key)
        wanted = (action.value, action.score, action.version, action.ttl_column)
        for column in (*self._template.columns, *(name for name in wanted if name is not None)):
            if column not in self._types:
                raise _missing(column, tuple(self._types), action)

    def statement(self) -> tuple[sql.Composed, Shape]:
        columns = [self._key()]
        if self._action.form == "string":
            shape, columns = Shape(), [*columns, self._string()]
        elif self._action.form == "hash":
            shape, columns = Shape(count=2), [*columns, *self._fields()]
        else:
            shape, columns = Shape(count=2), [*columns, *self._members()]
        more: dict[str, int] = {}
        if self._action.ttl_column is not None:
            more["ttl"] = len(columns)
            columns.append(self._ttl(self._action.ttl_column))
        if self._action.version is not None:
            more["version"] = len(columns)
            version = _column(self._action.version)
            columns.append(sql.SQL("(pg_catalog.to_json({}) operator(pg_catalog.#>>) '{{}}')").format(version))
        if self._is_gathered:
            # One row a key: what a collection holds may stand in several rows of the query. min(): any of a key's.
            rest = [sql.SQL("pg_catalog.min({})").format(column) for column in columns[3:]]
            select = sql.SQL(", ").join([*columns[:3], *rest])
            return sql.SQL("select {} from {} group by 1").format(select, self._inner), Shape(shape.count, **more)
        select = sql.SQL(", ").join(columns)
        return sql.SQL("select {} from {}").format(select, self._inner), Shape(shape.count, **more)

    def keys_differ(self, connection: Connection) -> bool:
        """Whether PostgreSQL itself can prove it: a left join on a unique column adds nothing, so it is left out."""
        if self._is_gathered:
            return True
        if len(self._template.columns) != 1 or self._action.nested:
            return False
        column = self._template.columns[0]
        kind, equals = _type_name(connection, self._types[column])
        probe = sql.SQL(
            "/* dbtune */ explain (format json) select p.x from"
            " (select case when n operator(pg_catalog.>) 0 then null::{} end as x"
            " from pg_catalog.generate_series(1, 2) as n) as p left join {} on {} {} p.x"
        ).format(sql.SQL(kind), self._inner, _column(column), sql.SQL(equals))
        # A savepoint: what cannot be compared at all (json) is no reason to stop.
        with (
            contextlib.suppress(psycopg.errors.UndefinedFunction),
            connection.transaction(),
            users_path(connection),
        ):
            row = cast("tuple[list[dict[str, Any]]]", connection.execute(probe).fetchone())
            return "Plans" not in row[0][0]["Plan"]
        return False

    @property
    def _is_gathered(self) -> bool:
        """Rows of the same key are members of one collection."""
        is_array = self._action.value is not None and self._types[self._action.value] in _ARRAYS
        return self._action.form in ("set", "zset", "list") and not is_array

    def _key(self) -> sql.Composable:
        names = self._template.columns
        as_bytes = any(self._types[name] == _BYTEA for name in names)
        parts: list[sql.Composable] = []
        for piece in self._template.pieces:
            if not piece.is_column:
                literal = as_text(sql.Literal(piece.text))
                parts.append(in_bytes(literal) if as_bytes else literal)
            else:
                parts.append(self._bytes(piece.text) if as_bytes else self._text(piece.text))
        return sql.SQL("({})").format(joined(parts))

    def _string(self) -> sql.Composable:
        if self._action.value is None:
            # json as it is: its bytes are its text, and a cast would copy each. Not a column that is called q.
            return sql.SQL("pg_catalog.row_to_json(q.*)")
        if self._action.encoding is not None:
            return sql.SQL("pg_catalog.to_json({})").format(_column(self._action.value))
        return self._text(self._action.value)

    def _fields(self) -> tuple[sql.Composable, sql.Composable]:
        """The arguments of HSET as they go over the wire, and their number; NULLs are left out."""
        columns = [_column(name) for name in self._types]
        pairs = [
            sql.SQL("coalesce({}, {})").format(
                joined([argument(in_bytes(sql.Literal(name))), argument(self._bytes(name))]), NO_BYTES
            )
            for name in self._types
        ]
        present = sql.SQL("pg_catalog.num_nonnulls({})").format(sql.SQL(", ").join(columns))
        return sql.SQL("({})").format(joined(pairs)), twice(present)

    def _members(self) -> tuple[sql.Composable, sql.Composable]:
        """The arguments of SADD, RPUSH or ZADD as they go over the wire, and their number."""
        if self._action.value is None:
            raise AssertionError("a collection has a column of members")
        if self._is_gathered:
            member = argument(self._bytes(self._action.value))
            if self._action.score is None:
                return gathered(member), sql.SQL("pg_catalog.count({})::pg_catalog.int4").format(member)
            number = sql.SQL("({}::pg_catalog.float8)").format(_column(self._action.score))
            pair = joined([argument(in_bytes(as_text(number))), member])
            return gathered(pair), twice(sql.SQL("pg_catalog.count({})").format(pair))
        values = sql.SQL("pg_catalog.unnest({}) with ordinality as m(value, place)").format(_column(self._action.value))
        one = argument(in_bytes(as_text(sql.SQL("m.value"))))
        members = sql.SQL("(select {} from {})").format(gathered(one, order=sql.SQL("m.place")), values)
        return members, sql.SQL("(select pg_catalog.count(m.value)::pg_catalog.int4 from {})").format(values)

    def _ttl(self, column: str) -> sql.Composable:
        seconds = sql.SQL("extract(epoch from {})" if self._types[column] == _INTERVAL else "{}").format(
            _column(column)
        )
        ms = sql.SQL("({}::pg_catalog.float8 operator(pg_catalog.*) 1000)::pg_catalog.int8").format(seconds)
        return as_text(ms)

    def _text(self, column: str) -> sql.Composable:
        return _column(column) if self._types[column] == _BYTEA else as_text(_column(column))

    def _bytes(self, column: str) -> sql.Composable:
        text = self._text(column)
        return text if self._types[column] == _BYTEA else in_bytes(text)

    def _with(self, connection: Connection, query: str, nested: list[tuple[str, str]]) -> sql.Composable:
        """Each nested query as a column: a JSON array of its rows, or of the values of its only column."""
        parent = sql.SQL("(\n{}\n) as parent").format(_verbatim(query))
        columns = []
        for name, text in nested:
            lateral = sql.SQL("(\n{}\n) as n").format(_verbatim(text))
            found = _types(connection, sql.SQL("{} cross join lateral {}").format(parent, lateral), what=sql.SQL("n.*"))
            item = sql.SQL("n.{}").format(sql.Identifier(next(iter(found)))) if len(found) == 1 else sql.SQL("n.*")
            columns.append(
                sql.SQL("(select coalesce(pg_catalog.json_agg({}), '[]') from {}) as {}").format(
                    item, lateral, sql.Identifier(name)
                )
            )
        return sql.SQL("(select parent.*, {} from {}) as q").format(sql.SQL(", ").join(columns), parent)


def _column(name: str) -> sql.Composable:
    return sql.SQL("q.{}").format(sql.Identifier(name))


def _types(connection: Connection, inner: sql.Composable, what: sql.Composable | None = None) -> Mapping[str, int]:
    """The types' oids by the names of the query's columns."""
    statement = sql.SQL("/* dbtune */ select {} from {} limit 0").format(what or sql.SQL("*"), inner)
    # Binary forces the extended protocol, which takes one statement only: no `) q; commit; drop table`.
    described = connection.cursor(binary=True).execute(statement).description
    return {column.name: column.type_code for column in described or ()}


def _rows_expected(connection: Connection, statement: sql.Composed) -> int:
    """What the planner estimates."""
    row = connection.execute(sql.SQL("/* dbtune */ explain (format json) {}").format(statement)).fetchone()
    return int(cast("tuple[list[dict[str, Any]]]", row)[0][0]["Plan"]["Plan Rows"])


def _type_name(connection: Connection, oid: int) -> tuple[str, str]:
    """A type as SQL, and the operator that its values are equal by."""
    row = connection.execute(_TYPE, {"type": oid}).fetchone()
    if row is None:
        raise AssertionError("a statement without FROM has a row")
    return str(row[0]), str(row[1])


def _verbatim(query: str) -> sql.SQL:
    """The one place where a person's own SQL goes into ours; the read-only transaction is what guards it."""
    return sql.SQL(query)


def _missing(column: str, columns: tuple[str, ...], action: WarmKeys) -> DbtuneError:
    folded = {name.lower(): name for name in columns}
    near = difflib.get_close_matches(column.lower(), folded, n=1)
    has = ", ".join(columns) or "none"
    return ChangeFailed(
        f"warming {action.key}: the query has no column {column!r}; it has {has}",
        hint=f"did you mean {folded[near[0]]!r}?" if near else "select the column, or rename it with AS",
    )
