"""What can be done to a server: a small closed union of data.

The dry run prints actions, apply performs them, the journal stores them, the reports show them;
`servers` alone knows the SQL. Undoing a step is a list of actions too.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class WarmKeys:
    """Write one key per row of `query`. Durations in seconds; `jitter` is a fraction of the TTL.

    `value` is the column to store as it is, None for the whole row as JSON. Every key is filed under each of `tags`.
    `marker` is the key whose presence says that this warm-up is not due again; it lives for `fresh_for_s`.
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
    verb: Literal["warm_keys"] = "warm_keys"


@dataclass(frozen=True, slots=True)
class ForgetKeys:
    """Unlink the keys that WarmKeys wrote under this marker and that still live, and take them out of `tags`."""

    marker: str
    tags: tuple[str, ...] = ()
    verb: Literal["forget_keys"] = "forget_keys"


Action = Annotated[
    CreateIndex | DropIndex | SetSetting | Analyze | RunSql | WarmKeys | ForgetKeys,
    Field(discriminator="verb"),
]

ACTIONS: TypeAdapter[tuple[Action, ...]] = TypeAdapter(tuple[Action, ...])
"""Actions to JSON and back, for the journal and saved plans."""
