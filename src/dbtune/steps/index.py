"""The step kind `index`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from dbtune.core.actions import CreateIndex, DropIndex, IndexDefinition, IndexKey, Relation
from dbtune.core.identifiers import LONGEST, did_you_mean, quote, shorten, ways_to_join
from dbtune.core.questions import Catalog, Explained, Facts, Failed, Question
from dbtune.core.units import format_size
from dbtune.steps import index_catalog as catalog
from dbtune.steps import relations
from dbtune.steps.index_catalog import IndexRow
from dbtune.steps.index_keys import KeyColumn, parse_key
from dbtune.steps.relations import RelationRow
from dbtune.steps.step import Plan, Step, Verdict

CORRUPTING = range(140000, 140004)
"""PostgreSQL 14.0 to 14.3 can corrupt an index that is built CONCURRENTLY (release notes of 14.4)."""
NULLS_NOT_DISTINCT_SINCE = 150000


class Index(Step):
    """An index, built without blocking writers and compared by what it is, not by what it is called.

    `plan` shows the statement, what it would wait for and its estimated size. `apply` builds it with CREATE INDEX
    CONCURRENTLY, watches the build, and cleans up after a failure. An index of the same definition under another
    name satisfies the step. `rollback` drops it again, and only if this run built it.

    Columns are written as in SQL: `created_at desc nulls last`, `email text_pattern_ops`, `"Odd name"`; a text with
    parentheses is an expression: `lower(email)`.
    """

    kind: ClassVar[str] = "index"

    table: str = Field(min_length=1, description="the table, with its schema if need be: `app.users`")
    columns: tuple[str | KeyColumn, ...] = Field(default=(), description="the keys in order, as in SQL or as mappings")
    expressions: tuple[str, ...] = Field(default=(), description="further keys that are expressions: `lower(email)`")
    schema_: str | None = Field(default=None, alias="schema", description="the table's schema; else the search_path's")
    name: str | None = Field(default=None, description="the index's name; else one made of its definition")
    unique: bool = False
    method: str = Field(default="btree", description="btree, hash, gin, gist, spgist, brin, or an extension's")
    include: tuple[str, ...] = Field(default=(), description="columns carried along for index-only scans")
    where: str | None = Field(default=None, description="the predicate of a partial index")
    with_: dict[str, str | int | float | bool] = Field(
        default_factory=dict, alias="with", description="storage parameters: `{fillfactor: 90}`"
    )
    nulls: Literal["distinct", "not distinct", "not_distinct", "first", "last"] | None = Field(
        default=None,
        description="`not distinct`: nulls count as equal in a unique index (15+); `first`, `last`: for all keys",
    )
    opclass: str | dict[str, str] | None = Field(default=None, description="for all keys, or by column")
    tablespace: str | None = None

    @field_validator("columns", "expressions", "include", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _fits(cls, name: str | None) -> str | None:
        if name is not None and len(name.encode()) > LONGEST:
            raise ValueError(
                f"PostgreSQL would cut a name of more than {LONGEST} bytes; this one has {len(name.encode())}"
            )
        return name

    @model_validator(mode="after")
    def _has_keys(self) -> Index:
        if not self.columns and not self.expressions:
            raise ValueError("an index needs columns or expressions")
        return self

    def title(self) -> str:
        return f"index {self.table} ({', '.join(_describe(key) for key in self.keys())})"

    def keys(self) -> tuple[IndexKey, ...]:
        """Columns first, then expressions, with the options that are given for all of them."""
        written = [column if isinstance(column, KeyColumn) else parse_key(column) for column in self.columns]
        written += [parse_key(text, is_expression=True) for text in self.expressions]
        return tuple(self._with_defaults(column).key() for column in written)

    def _with_defaults(self, column: KeyColumn) -> KeyColumn:
        named = column.name or column.expression or ""
        opclass = self.opclass.get(named) if isinstance(self.opclass, dict) else self.opclass
        nulls = self.nulls if self.nulls in ("first", "last") else None
        return column.model_copy(update={"opclass": column.opclass or opclass, "nulls": column.nulls or nulls})

    # --- what must be known

    @property
    def _regclass(self) -> str:
        return relations.as_regclass(self.table, self.schema_)

    def questions(self, facts: Facts) -> Iterable[Question]:
        yield relations.ask_for(self._regclass)
        yield catalog.ask_for(self._regclass)
        yield catalog.OPEN_TRANSACTIONS
        if not facts.knows(relations.ask_for(self._regclass)):
            return
        yield from relations.ask_for_neighbours(facts, self._regclass)
        relation = relations.find(facts, self._regclass)
        if relation is None or self._missing_column(relation):
            return
        yield self._ask_for_namesake(relation)
        wanted = self.definition(relation)
        yield from catalog.ask_for_words(wanted)
        if question := catalog.ask_to_normalize(wanted):
            yield question
            yield from catalog.ask_to_normalize_rows(wanted, self._indexes(facts))
        if (expected := catalog.ask_for_rows(wanted)) is not None:
            yield expected

    def verify_questions(self, facts: Facts) -> Iterable[Question]:
        """What a build would wait for, and how large it would be, does not matter here."""
        asked = self.questions(facts)
        return (one for one in asked if one != catalog.OPEN_TRANSACTIONS and not isinstance(one, Explained))

    def _ask_for_namesake(self, relation: RelationRow) -> Catalog:
        return relations.ask_for(quote(relation.schema, self.definition(relation).name))

    def _indexes(self, facts: Facts) -> tuple[IndexRow, ...]:
        relation = relations.find(facts, self._regclass)
        rows = facts.rows(catalog.ask_for(self._regclass), IndexRow)
        return tuple(row for row in rows if relation is not None and row.table_oid == relation.oid)

    # --- judgement

    def definition(self, relation: RelationRow) -> IndexDefinition:
        """What the step asks for, on the table that was found."""
        return IndexDefinition(
            table=Relation(relation.schema, relation.name),
            name=self.name or self._made_up_name(relation),
            keys=self.keys(),
            method=self.method.lower(),
            unique=self.unique,
            include=self.include,
            where=self.where,
            options=tuple(sorted((name, _storage_text(value)) for name, value in self.with_.items())),
            nulls_not_distinct=self.nulls in ("not distinct", "not_distinct"),
            tablespace=self.tablespace,
        )

    def _made_up_name(self, relation: RelationRow) -> str:
        """As PostgreSQL would name a plain index; everything beyond plain columns adds a digest of the definition.

        So the same step finds its index again, and two steps never want one name: not those on (a, b) and (a_b) either.
        """
        keys = self.keys()
        words = "_".join(_word(key.text) for key in keys)
        plain = all(key == IndexKey(key.text) for key in keys) and self.model_dump(
            exclude={"table", "columns", "schema_", "name"}
        ) == Index(table=self.table, columns=("x",)).model_dump(exclude={"table", "columns", "schema_", "name"})
        if plain and words != keys[0].text:
            plain = ways_to_join(words, map(_word, relation.columns)) == 1
        digest = "" if plain else "_" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:6]
        return shorten(f"{relation.name}_{words}", f"{digest}_idx")

    def plan(self, facts: Facts) -> Plan:
        relation = relations.find(facts, self._regclass)
        if relation is None:
            return Plan("conflict", reason=relations.missing_table(facts, self.table, self.schema_))
        if missing := self._missing_column(relation):
            return Plan("conflict", reason=missing)
        wanted, indexes = self.definition(relation), self._indexes(facts)
        if unknown := catalog.unknown_word(wanted, facts):
            return Plan("conflict", reason=unknown)
        if isinstance(failed := catalog.cannot_normalize(wanted, facts), Failed):
            return Plan("conflict", reason=f"PostgreSQL does not understand this index: {failed.reason}")
        equal = [row for row in indexes if catalog.same(wanted, row, facts)]
        if satisfied := next((row for row in equal if row.usable), None):
            return _satisfied(wanted, satisfied)
        namesake = next((row for row in indexes if (row.schema, row.name) == (relation.schema, wanted.name)), None)
        if conflict := self._name_conflict(facts, relation, wanted, namesake, equal):
            return Plan("conflict", reason=conflict)
        if blocked := _blocked(facts, relation, wanted):
            return Plan("blocked", reason=blocked)
        return self._build(facts, relation, wanted, indexes, namesake)

    def _build(
        self,
        facts: Facts,
        relation: RelationRow,
        wanted: IndexDefinition,
        indexes: tuple[IndexRow, ...],
        namesake: IndexRow | None,
    ) -> Plan:
        notes = list(catalog.overlaps(wanted, indexes))
        if namesake is not None and namesake.builder_pid is not None:
            notes.append(f"backend {namesake.builder_pid} is building it now: apply watches that build")
        elif namesake is not None:
            notes.append(f"an invalid {wanted.name} of this definition is left over: it is dropped and built again")
        index = Relation(relation.schema, wanted.name)
        return Plan(
            "change",
            actions=(CreateIndex(wanted, replaces_invalid_oid=namesake.oid if namesake else None),),
            undo=(DropIndex(index, wanted.table, definition=wanted),),
            notes=tuple(notes),
            lock="SHARE UPDATE EXCLUSIVE",
            size_bytes=catalog.estimate_size(wanted, relation, facts),
            blockers=catalog.blockers(facts),
        )

    def verify(self, facts: Facts) -> Verdict:
        plan = self.plan(facts)
        if plan.status == "in_sync":
            return Verdict(ok=True, reason=plan.reason, after=plan.before)
        return Verdict(ok=False, reason=plan.reason or f"there is no usable index {self._described()}")

    def _described(self) -> str:
        return f"on {self.table} ({', '.join(_describe(key) for key in self.keys())})"

    def _missing_column(self, relation: RelationRow) -> str | None:
        named = [key.text for key in self.keys() if not key.is_expression] + list(self.include)
        for name in named:
            if name not in relation.columns:
                hint = did_you_mean(name, relation.columns)
                return f'column "{name}" of table "{self.table}" does not exist' + (f"; {hint}" if hint else "")
        return None

    def _name_conflict(
        self,
        facts: Facts,
        relation: RelationRow,
        wanted: IndexDefinition,
        namesake: IndexRow | None,
        equal: list[IndexRow],
    ) -> str | None:
        if namesake is not None:
            if namesake in equal:
                return None
            state = "" if namesake.usable else ", and is not valid"
            drop = f"drop index concurrently {quote(namesake.schema, namesake.name)};"
            return (
                f"an index {wanted.name} exists with another definition{state}: {namesake.definition};"
                f" give the step another name, or {drop}"
            )
        rows = facts.rows(self._ask_for_namesake(relation), RelationRow)
        if any((row.schema, row.name) == (relation.schema, wanted.name) for row in rows):
            return f'"{wanted.name}" is another relation of schema "{relation.schema}"; give the step a name'
        return None


def _blocked(facts: Facts, relation: RelationRow, wanted: IndexDefinition) -> str | None:
    """Why the server or the role cannot do it, though the step makes sense."""
    version = facts.server.version
    if relation.kind == relations.PARTITIONED:
        return "a partitioned table cannot be indexed CONCURRENTLY as a whole; index its partitions"
    if relation.kind not in ("r", "m"):
        return f'"{relation.name}" is not a table or a materialized view'
    if version in CORRUPTING:
        return "PostgreSQL 14.0 to 14.3 can corrupt indexes built CONCURRENTLY; update to 14.4 or later"
    if wanted.nulls_not_distinct and version < NULLS_NOT_DISTINCT_SINCE:
        return "NULLS NOT DISTINCT needs PostgreSQL 15"
    if not relation.owned:
        return f'only the owner of "{relation.name}" may index it; apply as its owner, or as a superuser'
    if not relation.may_create:
        return f'the role may not create in schema "{relation.schema}"; grant create on it'
    return None


def _satisfied(wanted: IndexDefinition, row: IndexRow) -> Plan:
    reason = None if row.name == wanted.name else f"satisfied by {row.name}"
    state = {
        "index": f"{row.schema}.{row.name}",
        "oid": row.oid,
        "size_bytes": row.size_bytes,
        "definition": row.definition,
    }
    return Plan("in_sync", reason=reason, before=state, notes=(f"{format_size(row.size_bytes)} on disk",))


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _storage_text(value: str | float | bool) -> str:  # noqa: FBT001 - a YAML value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe(key: IndexKey) -> str:
    return key.text + (" desc" if key.descending else "")
