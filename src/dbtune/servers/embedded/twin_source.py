"""The source's tables and indexes as the search sees them."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.source import BLOCK_BYTES, Index, KeyRow, Source
from dbtune.advisor.what_if import ExistingIndex, TableFacts
from dbtune.core.identifiers import quote

_DESCENDING, _NULLS_FIRST = 1, 2


def table_facts(source: Source) -> tuple[TableFacts, ...]:
    facts = []
    for table in source.tables:
        counters = table.counters
        facts.append(
            TableFacts(
                schema=table.schema,
                name=table.name,
                kind=table.kind,
                rows=table.live_rows,
                size_bytes=table.pages * BLOCK_BYTES,
                inserted=None if counters is None else counters.inserted,
                updated=None if counters is None else counters.updated,
                hot_updated=None if counters is None else counters.hot_updated,
                deleted=None if counters is None else counters.deleted,
                analyzed=any(column.statistics for column in table.columns),
            )
        )
    return tuple(facts)


def existing_indexes(source: Source) -> tuple[ExistingIndex, ...]:
    parts: dict[tuple[str, str], list[Index]] = {}
    for index in source.indexes:
        if index.parent is not None:
            parts.setdefault(index.parent, []).append(index)

    def pages(index: Index) -> int:
        """A partitioned index has none of its own: those of its parts, which go with it."""
        return index.pages + sum(map(pages, parts.get((index.schema, index.name), ())))

    return tuple(_existing(index, pages(index)) for index in source.indexes if index.is_valid)


def _existing(index: Index, pages: int) -> ExistingIndex:
    reason = next(_reasons_to_keep(index), None)
    return ExistingIndex(
        schema=index.schema,
        name=index.name,
        table=index.table,
        ddl=index.definition,
        method=index.method,
        columns=tuple(key.column for key in index.keys),
        size_bytes=pages * BLOCK_BYTES,
        is_unique=index.is_unique,
        is_droppable=reason is None,
        kept_because=reason,
        definition=_definition(index),
        scans=index.scans,
        last_scan=index.last_scan,
        parent=None if index.parent is None else quote(*index.parent),
    )


def _reasons_to_keep(index: Index) -> Iterator[str]:
    if index.constraint is not None:
        yield {"p": "it is the primary key", "u": "it backs a unique constraint"}.get(
            index.constraint, "it backs an exclusion constraint"
        )
    if index.is_unique:
        yield "it keeps values unique"
    if index.is_referenced:
        yield "a foreign key refers to it"
    if index.is_replica_identity:
        yield "replication identifies rows by it"
    if index.is_clustered:
        yield "the table is clustered by it"
    if index.parent is not None:
        yield "it is a part of a partitioned index"


def _definition(index: Index) -> IndexDefinition | None:
    if index.nulls_not_distinct:
        return None
    options = tuple((name, value) for name, _, value in (option.partition("=") for option in index.options))
    return IndexDefinition(
        schema=index.table_schema,
        table=index.table,
        keys=tuple(_key(key) for key in index.keys),
        method=index.method,
        include=index.include,
        where=_unwrapped(index.predicate),
        unique=index.is_unique,
        options=options,
    )


def _key(key: KeyRow) -> IndexKey:
    descending = bool(key.option & _DESCENDING)
    return IndexKey(
        column=key.column,
        expression=None if key.expression is None else _unwrapped(key.expression),
        descending=descending,
        nulls_first=bool(key.option & _NULLS_FIRST),
        opclass=None if key.opclass_is_default else key.opclass,
        collation=key.collation if key.collation_is_own else None,
    )


def _unwrapped(text: str | None) -> str | None:
    """Without the pair of parentheses that PostgreSQL puts around the whole."""
    if text is None or not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 else text
    return text
