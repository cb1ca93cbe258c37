"""An index as advice speaks of it: equal definitions are equal values, with one name, one DDL and one order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dbtune.core import actions
from dbtune.core.identifiers import quote, shorten, split_name

METHODS = ("btree", "hash", "gin", "gist", "spgist", "brin")


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key: a column's real name, or an expression as SQL text without brackets around it; never both.

    `nulls_first` None is PostgreSQL's default (last when ascending, first when descending). `opclass` may bear a
    schema (`public.gin_trgm_ops`); `collation` is a bare name (`C`, `en-x-icu`).
    """

    column: str | None = None
    expression: str | None = None
    descending: bool = False
    nulls_first: bool | None = None
    opclass: str | None = None
    collation: str | None = None

    def __post_init__(self) -> None:
        if (self.column is None) == (self.expression is None):
            raise ValueError("a key is either a column or an expression")
        if self.nulls_first == self.descending:
            # What PostgreSQL does anyhow is not said, so that equal indexes are equal values.
            object.__setattr__(self, "nulls_first", None)

    @property
    def text(self) -> str:
        return self.column if self.column is not None else str(self.expression)

    @property
    def is_plain(self) -> bool:
        """A column in its own order, class and collation."""
        return self == IndexKey(self.column) if self.column is not None else False

    def sql(self) -> str:
        parts = [quote(self.column) if self.column is not None else f"({self.expression})"]
        if self.collation is not None:
            parts.append(f"collate {quote(self.collation)}")
        if self.opclass is not None:
            parts.append(quote(*(part for part in split_name(self.opclass) if part is not None)))
        if self.descending:
            parts.append("desc")
        if self.nulls_first is not None:
            parts.append("nulls first" if self.nulls_first else "nulls last")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """Everything that advice says of an index. `where` is SQL text; `options` are storage parameters."""

    schema: str
    table: str
    keys: tuple[IndexKey, ...]
    method: str = "btree"
    include: tuple[str, ...] = ()
    where: str | None = None
    unique: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("an index has at least one key")

    def __lt__(self, other: IndexDefinition) -> bool:
        return self.sort_key < other.sort_key

    @property
    def sort_key(self) -> tuple[str, str, int, str]:
        """Tables together, short indexes first: an order that is the same on every machine."""
        return (self.schema, self.table, len(self.keys), self.ddl(name=""))

    @property
    def qualified_table(self) -> str:
        return quote(self.schema, self.table)

    @property
    def columns(self) -> tuple[str, ...]:
        """The plain key columns and those of INCLUDE; what expressions read is not among them."""
        return tuple(key.column for key in self.keys if key.column is not None) + self.include

    @property
    def holds(self) -> frozenset[str]:
        """Its columns and expressions, whatever their order."""
        return frozenset((*self.columns, *(key.expression for key in self.keys if key.expression is not None)))

    @property
    def name(self) -> str:
        """`orders_customer_id_idx`; whatever is not plain adds a digest, so that different indexes differ."""
        words = [word for key in self.keys for word in _words(key)]
        stem = "_".join([self.table, *words, *([self.method] if self.method != "btree" else [])])
        plain = not self.include and self.where is None and not self.unique and not self.options
        if plain and all(key.is_plain for key in self.keys):
            return shorten(stem, "_idx")
        digest = hashlib.sha256(self.ddl(name="").encode()).hexdigest()[:6]
        return shorten(stem, f"_{digest}_idx")

    def ddl(self, *, name: str | None = None, concurrently: bool = False, only: bool = False) -> str:
        """The statement, without a semicolon; with `name=""` PostgreSQL chooses one.

        `only` is of a partitioned table without its partitions, and does nothing where there is an index of that name.
        """
        name = self.name if name is None else name
        words = ["create", "unique" if self.unique else "", "index", "concurrently" if concurrently else ""]
        words += ["if not exists" if only else "", quote(name) if name else "", "on", "only" if only else ""]
        words += [self.qualified_table, "using", self.method]
        words.append(f"({', '.join(key.sql() for key in self.keys)})")
        if self.include:
            words.append(f"include ({', '.join(map(quote, self.include))})")
        if self.options:
            words.append(f"with ({', '.join(f'{option} = {value}' for option, value in self.options)})")
        if self.where is not None:
            words.append(f"where ({self.where})")
        return " ".join(filter(None, words))

    def action(self, name: str | None = None) -> actions.IndexDefinition:
        """The same for a playbook's index step."""
        return actions.IndexDefinition(
            table=actions.Relation(self.schema, self.table),
            name=name or self.name,
            keys=tuple(
                actions.IndexKey(
                    key.text, key.expression is not None, key.descending, key.nulls_first, key.opclass, key.collation
                )
                for key in self.keys
            ),
            method=self.method,
            unique=self.unique,
            include=self.include,
            where=self.where,
            options=self.options,
        )


def name_apart(definitions: Iterable[IndexDefinition], taken: Collection[str] = ()) -> Mapping[IndexDefinition, str]:
    """Each one's name; where two would share one, or it is taken in the database, a number tells them apart."""
    used, names = set(taken), dict[IndexDefinition, str]()
    for definition in sorted(set(definitions)):
        name, number = definition.name, 1
        while name in used:
            number += 1
            name = shorten(definition.name.removesuffix("_idx"), f"_{number}_idx")
        used.add(name)
        names[definition] = name
    return names


def _words(key: IndexKey) -> list[str]:
    if key.column is not None:
        return [key.column]
    return re.findall(r"[a-z_][a-z0-9_]*", str(key.expression).lower())[:4] or ["expr"]
