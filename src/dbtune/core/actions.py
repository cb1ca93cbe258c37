"""What can be done to a server: a small closed union of data.

The dry run prints actions, apply performs them, the journal stores them, the reports show them;
`servers` alone knows the SQL. Undoing a step is a list of actions too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or an index by its real name, never quoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key of an index: a column's name, or an expression as SQL text."""

    text: str
    is_expression: bool = False
    descending: bool = False
    # None: PostgreSQL's default, which is last when ascending and first when descending.
    nulls_first: bool | None = None
    opclass: str | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """Everything that CREATE INDEX can say. `where` and expressions are SQL text as the person wrote it."""

    table: Relation
    name: str
    keys: tuple[IndexKey, ...]
    method: str = "btree"
    unique: bool = False
    include: tuple[str, ...] = ()
    where: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    nulls_not_distinct: bool = False
    tablespace: str | None = None


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """Build CONCURRENTLY, watched; an invalid index of the same definition is dropped first."""

    index: IndexDefinition
    replaces_invalid_oid: int | None = None
    verb: Literal["create_index"] = "create_index"


@dataclass(frozen=True, slots=True)
class DropIndex:
    """Drop CONCURRENTLY, and only if what stands under the name is still what we built (`oid`, else `definition`)."""

    index: Relation
    table: Relation
    oid: int | None = None
    definition: IndexDefinition | None = None
    verb: Literal["drop_index"] = "drop_index"


Scope = Literal["system", "database", "role"]


@dataclass(frozen=True, slots=True)
class SetSetting:
    """Write one entry of a scope, or remove it (`value` None).

    `expected` guards an undo: the entry is restored only where our own still stands.
    """

    name: str
    value: str | None
    scope: Scope
    role: str | None = None
    expected: str | None = None
    reload: bool = False
    verb: Literal["set_setting"] = "set_setting"


@dataclass(frozen=True, slots=True)
class Analyze:
    tables: tuple[Relation, ...]
    verb: Literal["analyze"] = "analyze"


@dataclass(frozen=True, slots=True)
class RunSql:
    """A person's own statements, in one transaction unless they cannot run in one.

    `only_if` is a query: the statements run only where it returns true.
    """

    sql: str
    in_transaction: bool = True
    only_if: str | None = None
    verb: Literal["run_sql"] = "run_sql"


CacheForm = Literal["string", "hash", "set", "zset", "list"]
"""What stands at a key, by Redis' own names of the types."""

WarmMode = Literal["overwrite", "nx", "xx", "newer"]
"""What is written: every key; those that are absent; those that are there; those whose value is not newer."""


@dataclass(frozen=True, slots=True)
class WarmKeys:
    """Write the rows of `query` under the keys that `key` makes of them. Durations in seconds; `jitter` is a fraction.

    `value` is a column: the string, or what the members of a collection are; None is the whole row. `score` is the
    column of a sorted set's scores, `ttl_column` one of seconds or an interval, `version` the one that `newer`
    compares. `nested` are further columns, (name, query over `parent`). `encoding` None is the column's own text.
    Every key is filed under each of `tags`. `marker` is the key whose presence says that this warm-up is not due
    again; it lives for `fresh_for_s`. `listed`: what is written is kept under the marker, so that it can be undone.
    """

    query: str
    key: str
    ttl_s: float
    jitter: float
    tags: tuple[str, ...]
    marker: str
    fingerprint: str
    fresh_for_s: float
    value: str | None = None
    form: CacheForm = "string"
    mode: WarmMode = "overwrite"
    score: str | None = None
    version: str | None = None
    ttl_column: str | None = None
    nested: tuple[tuple[str, str], ...] = ()
    encoding: Literal["json", "msgpack"] | None = None
    gzip: bool = False
    listed: bool = True
    verb: Literal["warm_keys"] = "warm_keys"


@dataclass(frozen=True, slots=True)
class ForgetKeys:
    """Unlink the keys that WarmKeys wrote under this marker and that still live, and take them out of `tags`."""

    marker: str
    tags: tuple[str, ...] = ()
    verb: Literal["forget_keys"] = "forget_keys"


@dataclass(frozen=True, slots=True)
class SetRedisSetting:
    """CONFIG SET, and with `persist` CONFIG REWRITE. `expected` guards an undo: only our own value is replaced."""

    name: str
    value: str
    expected: str | None = None
    persist: bool = False
    verb: Literal["set_redis_setting"] = "set_redis_setting"


Action = Annotated[
    CreateIndex | DropIndex | SetSetting | Analyze | RunSql | WarmKeys | ForgetKeys | SetRedisSetting,
    Field(discriminator="verb"),
]


@cache
def actions_adapter() -> TypeAdapter[tuple[Action, ...]]:
    """Actions to JSON and back, for the journal and saved plans. Made at its first use: commands start sooner."""
    return TypeAdapter(tuple[Action, ...])
