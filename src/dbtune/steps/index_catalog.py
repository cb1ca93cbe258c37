"""Indexes as the catalog shows them, and when two definitions are the same index.

Same means: access method, keys in order with direction, nulls, operator class and collation, INCLUDE, predicate,
uniqueness and NULLS NOT DISTINCT. Expressions and predicates are compared as PostgreSQL prints them after folding
constants, because it rewrites what a person typed (`a in (1, 2)` becomes `a = ANY (ARRAY[1, 2])`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dbtune.core.actions import IndexDefinition, IndexKey
from dbtune.core.identifiers import did_you_mean, quote, split_name
from dbtune.core.questions import Catalog, Explained, Facts, Failed, Normalized
from dbtune.core.units import format_duration
from dbtune.steps.relations import RelationRow

DESCENDING, NULLS_FIRST = 1, 2
"""Bits of pg_index.indoption."""
OLD_TRANSACTION_S = 1.0


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One index. The lists have one entry per key; `storage` is reloptions (`fillfactor=90`)."""

    table_oid: int
    oid: int
    schema: str
    name: str
    table_schema: str
    table_name: str
    method: str
    is_unique: bool
    usable: bool
    nulls_not_distinct: bool
    backs_constraint: bool
    keys: list[str]
    expressions: list[bool]
    options: list[int]
    opclasses: list[str]
    default_opclasses: list[bool]
    collations: list[str | None]
    own_collations: list[bool]
    include: list[str]
    predicate: str | None
    storage: list[str]
    tablespace: str | None
    definition: str
    size_bytes: int
    builder_pid: int | None


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    pid: int | None
    prepared: str | None
    role: str
    application: str
    state: str
    age_s: float | None
    query: str


@dataclass(frozen=True, slots=True)
class WordRow:
    """A name that CREATE INDEX can use on this server: `kind` is method, opclass, collation or tablespace."""

    kind: str
    name: str


OPEN_TRANSACTIONS = Catalog("open_transactions", OpenTransaction)
WORDS = Catalog("index_words", WordRow)


def ask_for(regclass: str) -> Catalog:
    return Catalog("table_indexes", IndexRow, (regclass,))


def ask_to_normalize(wanted: IndexDefinition) -> Normalized | None:
    """What PostgreSQL makes of the step's own expressions; None where it has none."""
    texts = _texts(wanted)
    return Normalized((wanted.table.schema, wanted.table.name), texts) if texts else None


def ask_to_normalize_rows(wanted: IndexDefinition, rows: Iterable[IndexRow]) -> Iterable[Normalized]:
    """The same for existing indexes that could be equal."""
    for row in rows:
        if len(row.keys) == len(wanted.keys) and (texts := _row_texts(row)):
            yield Normalized((row.table_schema, row.table_name), texts)


def cannot_normalize(wanted: IndexDefinition, facts: Facts) -> Failed | None:
    """PostgreSQL's complaint about the step's expressions. To lack SELECT is none: then texts are compared."""
    question = ask_to_normalize(wanted)
    answer = facts[question] if question else None
    return answer if isinstance(answer, Failed) and not answer.for_lack_of_privilege else None


def same(wanted: IndexDefinition, row: IndexRow, facts: Facts) -> bool:
    """Whether `row` is what `wanted` asks for, whatever its name and whether it is valid or not."""
    return (
        row.method == wanted.method
        and row.is_unique == wanted.unique
        and row.nulls_not_distinct == wanted.nulls_not_distinct
        and tuple(row.include) == wanted.include
        and len(row.keys) == len(wanted.keys)
        and all(_same_key(key, row, place) for place, key in enumerate(wanted.keys))
        and _has_storage(row, wanted)
        and _same_texts(wanted, row, facts)
    )


def _same_key(key: IndexKey, row: IndexRow, place: int) -> bool:
    descending = bool(row.options[place] & DESCENDING)
    nulls_first = bool(row.options[place] & NULLS_FIRST)
    wants_nulls_first = key.descending if key.nulls_first is None else key.nulls_first
    opclass_fits = row.default_opclasses[place] if key.opclass is None else row.opclasses[place] == _bare(key.opclass)
    # Only ordered methods keep a direction; the others store zeros whatever was written.
    direction_fits = row.method != "btree" or (descending, nulls_first) == (key.descending, wants_nulls_first)
    return (
        row.expressions[place] == key.is_expression
        and (key.is_expression or row.keys[place] == key.text)
        and direction_fits
        and opclass_fits
        and (not row.own_collations[place] if key.collation is None else row.collations[place] == key.collation)
    )


def _bare(name: str) -> str:
    return split_name(name)[1]


def _has_storage(row: IndexRow, wanted: IndexDefinition) -> bool:
    """Storage and tablespace count only where the step names them."""
    stored = dict(entry.split("=", 1) for entry in row.storage)
    return all(stored.get(name) == value for name, value in wanted.options) and (
        wanted.tablespace is None or row.tablespace == wanted.tablespace
    )


def _same_texts(wanted: IndexDefinition, row: IndexRow, facts: Facts) -> bool:
    mine, theirs = _texts(wanted), _row_texts(row)
    if len(mine) != len(theirs) or (wanted.where is None) != (row.predicate is None):
        return False
    return not mine or _normal(wanted.table.schema, wanted.table.name, mine, facts) == _normal(
        row.table_schema, row.table_name, theirs, facts
    )


def _texts(wanted: IndexDefinition) -> tuple[str, ...]:
    keys = tuple(key.text for key in wanted.keys if key.is_expression)
    return keys if wanted.where is None else (*keys, wanted.where)


def _row_texts(row: IndexRow) -> tuple[str, ...]:
    keys = tuple(text for text, is_expression in zip(row.keys, row.expressions, strict=True) if is_expression)
    return keys if row.predicate is None else (*keys, row.predicate)


def _normal(schema: str, table: str, texts: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    question = Normalized((schema, table), texts)
    answer = facts[question] if facts.knows(question) else Failed("not asked")
    if isinstance(answer, Failed):
        return tuple(_plain(text) for text in texts)
    return tuple(answer)


def _plain(text: str) -> str:
    """For want of PostgreSQL's own spelling: blanks and case do not count outside of quotes, nor outer parentheses."""
    pieces = re.split(r"""('[^']*'|"[^"]*")""", text.strip())
    kept = "".join(piece if place % 2 else re.sub(r"\s+", "", piece).lower() for place, piece in enumerate(pieces))
    return kept[1:-1] if re.fullmatch(r"\([^()]*\)", kept) else kept


def ask_for_words(wanted: IndexDefinition) -> tuple[Catalog, ...]:
    """Plain B-trees, which most are, name nothing that would have to be looked up."""
    return (WORDS,) if any(True for _ in _words(wanted)) else ()


def unknown_word(wanted: IndexDefinition, facts: Facts) -> str | None:
    """The first access method, operator class, collation or tablespace that the server does not have."""
    for kind, name in _words(wanted):
        known = [row.name for row in facts.rows(WORDS, WordRow) if row.kind == kind]
        if name not in known:
            hint = did_you_mean(name, known)
            return f'{_KINDS[kind]} "{name}" does not exist' + (f"; {hint}" if hint else "")
    return None


_KINDS = {"method": "access method", "opclass": "operator class", "collation": "collation", "tablespace": "tablespace"}


def _words(wanted: IndexDefinition) -> Iterable[tuple[str, str]]:
    if wanted.method != "btree":
        yield "method", wanted.method
    for key in wanted.keys:
        if key.opclass is not None:
            yield "opclass", _bare(key.opclass)
        if key.collation is not None:
            yield "collation", key.collation
    if wanted.tablespace is not None:
        yield "tablespace", wanted.tablespace


def overlaps(wanted: IndexDefinition, rows: Iterable[IndexRow]) -> Iterable[str]:
    """Warnings about plain B-tree neighbours of which one begins with the other's keys."""
    if wanted.method != "btree" or wanted.where is not None:
        return
    mine = [(key.text, key.descending) for key in wanted.keys]
    for row in rows:
        if row.method != "btree" or row.predicate is not None or not row.usable:
            continue
        theirs = [(text, bool(row.options[place] & DESCENDING)) for place, text in enumerate(row.keys)]
        if theirs == mine and not wanted.unique:
            yield f"{row.name} has the same columns, is unique, and may serve already"
        elif len(theirs) > len(mine) and theirs[: len(mine)] == mine and not wanted.unique:
            yield f"{row.name} begins with the same columns and may serve already"
        elif len(theirs) < len(mine) and mine[: len(theirs)] == theirs and not (row.is_unique or row.backs_constraint):
            yield f"{row.name} is a prefix of this index and may become superfluous"


def ask_for_rows(wanted: IndexDefinition) -> Explained | None:
    """How many rows the planner expects a partial index to hold; None for one that holds them all."""
    if wanted.where is None or wanted.method != "btree":
        return None
    return Explained(f"select from only {quote(wanted.table.schema, wanted.table.name)} where ({wanted.where}\n)")


def estimate_size(wanted: IndexDefinition, relation: RelationRow, facts: Facts) -> int | None:
    """Bytes of a B-tree from average column widths; None where no such guess is worth anything.

    An entry is 8 bytes of header and the keys aligned to 8, its pointer 4, pages 90 % full (PostgreSQL's
    documentation, "B-Tree Index Structure"). Deduplication makes it smaller: an upper bound. The planner says how many
    rows a predicate leaves; where it cannot, all count.
    """
    if wanted.method != "btree":
        return None
    width = dict(zip(relation.columns, relation.widths, strict=True))
    named = [key.text for key in wanted.keys] + list(wanted.include)
    payload = sum(width.get(name, 16) for name in named)
    entry = 8 + -(-payload // 8) * 8 + 4
    return int(_rows(wanted, relation, facts) * entry / 0.9) + 16384


def _rows(wanted: IndexDefinition, relation: RelationRow, facts: Facts) -> float:
    question = ask_for_rows(wanted)
    answer = facts[question] if question is not None and facts.knows(question) else Failed("not asked")
    expected = relation.row_count if isinstance(answer, Failed) else answer["Plan"]["Plan Rows"]
    return float(min(expected, relation.row_count))


def blockers(facts: Facts) -> tuple[str, ...]:
    """The open transactions that a build would wait for, oldest first, in words."""
    rows = facts.rows(OPEN_TRANSACTIONS, OpenTransaction) if facts.knows(OPEN_TRANSACTIONS) else ()
    return tuple(_describe(row) for row in rows if row.age_s is not None and row.age_s >= OLD_TRANSACTION_S)


def _describe(row: OpenTransaction) -> str:
    age = format_duration(row.age_s or 0)
    if row.prepared is not None:
        return f'prepared transaction "{row.prepared}" of {row.role}, open for {age}'
    who = f"{row.role}, {row.application}" if row.application else row.role
    return f"backend {row.pid} ({who}), {row.state}, in a transaction for {age}: {' '.join(row.query.split())}"
