"""Actions as SQL. Names go through psycopg.sql; expressions and predicates are the person's own SQL."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from dbtune.core.actions import (
    Action,
    Analyze,
    CreateIndex,
    DropIndex,
    ForgetKeys,
    IndexDefinition,
    IndexKey,
    Relation,
    RunSql,
    SetRedisSetting,
    SetSetting,
    WarmKeys,
)
from dbtune.core.parameter_lists import LISTS, split_list


def render(action: Action, database: str) -> tuple[str, ...]:
    """The statements of an action, exactly as they would be sent; Redis actions in words."""
    composed: list[sql.Composable]
    match action:
        case CreateIndex():
            drop = (
                [drop_index(Relation(action.index.table.schema, action.index.name))]
                if action.replaces_invalid_oid
                else []
            )
            after = [analyze(action.index.table)] if has_expressions(action.index) else []
            composed = [*drop, create_index(action.index), *after]
        case DropIndex():
            composed = [drop_index(action.index)]
        case SetSetting():
            composed = [set_setting(action, database), *([sql.SQL("select pg_reload_conf()")] if action.reload else [])]
        case Analyze():
            composed = [analyze(table) for table in action.tables]
        case RunSql():
            return (action.sql.strip(),)
        case WarmKeys():
            return (f"set {action.key} from: {' '.join(action.query.split())}",)
        case SetRedisSetting():
            rewrite = ("CONFIG REWRITE",) if action.persist else ()
            return (f"CONFIG SET {action.name} {action.value}", *rewrite)
        case ForgetKeys():
            return (f"unlink the keys that were written for {action.marker}",)
    return tuple(statement.as_string() for statement in composed)


def create_index(index: IndexDefinition) -> sql.Composed:
    """CREATE INDEX CONCURRENTLY, never IF NOT EXISTS: that reports success over an invalid index."""
    parts = [
        sql.SQL("create unique index concurrently" if index.unique else "create index concurrently"),
        sql.Identifier(index.name),
        sql.SQL("on {} using {} ({})").format(
            sql.Identifier(index.table.schema, index.table.name),
            sql.Identifier(index.method),
            sql.SQL(", ").join(_key(key) for key in index.keys),
        ),
    ]
    if index.include:
        parts.append(sql.SQL("include ({})").format(sql.SQL(", ").join(map(sql.Identifier, index.include))))
    if index.nulls_not_distinct:
        parts.append(sql.SQL("nulls not distinct"))
    if index.options:
        storage = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in index.options)
        parts.append(sql.SQL("with ({})").format(sql.SQL(", ").join(storage)))
    if index.tablespace:
        parts.append(sql.SQL("tablespace {}").format(sql.Identifier(index.tablespace)))
    if index.where:
        parts.append(sql.SQL("where ({})").format(_own(index.where)))
    return sql.SQL(" ").join(parts)


def drop_index(index: Relation) -> sql.Composed:
    return sql.SQL("drop index concurrently {}").format(sql.Identifier(index.schema, index.name))


def analyze(table: Relation) -> sql.Composed:
    return sql.SQL("analyze {}").format(sql.Identifier(table.schema, table.name))


def set_setting(action: SetSetting, database: str) -> sql.Composed:
    """ALTER SYSTEM, ALTER DATABASE or ALTER ROLE; without a value the entry is removed."""
    target: sql.Composable
    match action.scope:
        case "system":
            target = sql.SQL("alter system")
        case "database":
            target = sql.SQL("alter database {}").format(sql.Identifier(database))
        case "role":
            target = sql.SQL("alter role {}").format(sql.Identifier(action.role or ""))
    name = sql.Identifier(*action.name.split("."))
    if action.value is None:
        return sql.SQL("{} reset {}").format(target, name)
    return sql.SQL("{} set {} = {}").format(target, name, _value(action.name, action.value))


def duplicates(index: IndexDefinition) -> sql.Composed:
    """Samples of the rows that would make a unique index fail: the keys and how often each occurs.

    It is read on the person's search path, for their expressions: every name of ours is qualified.
    """
    keys = [_bare_key(key) for key in index.keys]
    conditions = [] if index.where is None else [sql.SQL("({})").format(_own(index.where))]
    if not index.nulls_not_distinct:
        conditions += [sql.SQL("{} is not null").format(key) for key in keys]
    where = sql.SQL("where {}").format(sql.SQL(" and ").join(conditions)) if conditions else sql.SQL("")
    return sql.SQL(
        "select row({})::pg_catalog.text, pg_catalog.count(*) from {} {} group by {}"
        " having pg_catalog.count(*) operator(pg_catalog.>) 1 limit 3"
    ).format(
        sql.SQL(", ").join(keys),
        sql.Identifier(index.table.schema, index.table.name),
        where,
        sql.SQL(", ").join(keys),
    )


def has_expressions(index: IndexDefinition) -> bool:
    """Expression indexes have statistics of their own, which only ANALYZE makes."""
    return any(key.is_expression for key in index.keys)


def _key(key: IndexKey) -> sql.Composed:
    return sql.SQL(" ").join([_bare_key(key), *_key_options(key)])


def _key_options(key: IndexKey) -> Iterable[sql.Composable]:
    if key.collation:
        yield sql.SQL("collate {}").format(sql.Identifier(key.collation))
    if key.opclass:
        yield sql.Identifier(*key.opclass.split("."))
    if key.descending:
        yield sql.SQL("desc")
    if key.nulls_first is not None:
        yield sql.SQL("nulls first" if key.nulls_first else "nulls last")


def _bare_key(key: IndexKey) -> sql.Composable:
    return sql.SQL("({})").format(_own(key.text)) if key.is_expression else sql.Identifier(key.text)


def _value(name: str, value: str) -> sql.Composable:
    if name in LISTS:
        return sql.SQL(", ").join(map(sql.Literal, split_list(value)))
    return sql.Literal(value)


def _own(text: str) -> sql.SQL:
    """SQL that a person wrote, ended by a line break lest its last comment swallow what follows."""
    return sql.SQL(f"{text}\n" if "--" in text else text)
