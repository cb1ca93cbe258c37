"""Only what a workload touches: relations that its texts name, and what those need in their turn.

Names are looked for as words, wherever they stand: a table too many costs a millisecond, one too few a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from dbtune.advisor.source import Source, Table
from dbtune.core.identifiers import quote

_WORD = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)')
Name = tuple[str, str]


def only_named(source: Source, texts: Iterable[str]) -> Source:
    """As `narrowed`, with the tables that refer to the named ones: a DELETE looks into those as well."""
    texts = list(texts)
    named = {(table.schema, table.name) for table in narrowed(source, texts).tables}
    referring = (quote(one.table) for one in source.constraints if one.referenced in named)
    return narrowed(source, [*texts, *referring])


def narrowed(source: Source, texts: Iterable[str]) -> Source:
    """Functions and relations that are named, the tables beneath views, parents and parts of partitions."""
    words = set[str]()
    _add_words(words, texts)
    tables, functions = set[Name](), set[int]()
    while True:
        before = (len(tables), len(functions))
        for table in source.tables:
            if table.name in words and (table.schema, table.name) not in tables:
                tables |= _family(source, table)
                # Views have no relatives.
                _add_words(words, [table.query or ""])
        for number, function in enumerate(source.functions):
            if function.name in words and number not in functions:
                functions.add(number)
                _add_words(words, [function.definition])
        _add_words(words, _texts_of(source, tables))
        if before == (len(tables), len(functions)):
            break
    return replace(
        source,
        tables=tuple(table for table in source.tables if (table.schema, table.name) in tables),
        indexes=tuple(one for one in source.indexes if (one.table_schema, one.table) in tables),
        constraints=tuple(one for one in source.constraints if (one.schema, one.table) in tables),
        extended=tuple(one for one in source.extended if (one.table_schema, one.table) in tables),
        sequences=tuple((schema, name) for schema, name in source.sequences if name in words),
        functions=tuple(one for number, one in enumerate(source.functions) if number in functions),
        not_examined=tuple(one for one in source.not_examined if _matters(one.check, source, tables)),
    )


def _add_words(words: set[str], texts: Iterable[str]) -> None:
    for text in texts:
        for quoted, bare in _WORD.findall(text):
            words.add(quoted.replace('""', '"') if quoted else bare.lower())


def _texts_of(source: Source, tables: set[Name]) -> Iterable[str]:
    """Whatever of the tables may call a function."""
    for index in source.indexes:
        if (index.table_schema, index.table) in tables and (index.predicate or any(k.expression for k in index.keys)):
            yield index.definition
    for one in source.constraints:
        if (one.schema, one.table) in tables and one.kind == "c":
            yield one.definition
    for table in source.tables:
        if (table.schema, table.name) in tables:
            yield from (column.generated for column in table.columns if column.generated is not None)


def _family(source: Source, table: Table) -> set[Name]:
    """The table, everything above it and everything below."""
    found = {(table.schema, table.name)}
    waiting = [(table.schema, table.name)]
    while waiting:
        name = waiting.pop()
        above = source.by_name[name].parents if name in source.by_name else ()
        below = source.children.get(name, ())
        for relative in (*above, *below):
            if relative not in found and relative in source.by_name:
                found.add(relative)
                waiting.append(relative)
    return found


def _matters(subject: str, source: Source, tables: set[Name]) -> bool:
    """A gap about a table that is left out is none."""
    return not any(
        subject.endswith(f" {table.qualified}") for table in source.tables if (table.schema, table.name) not in tables
    )
