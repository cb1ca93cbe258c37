"""What a condition compares, as far as it can be told from PostgreSQL's own printing of it."""

from __future__ import annotations

import re

_LITERAL = re.compile(r"'(?:[^']|'')*'")
_COLUMN = r'(?:(?:"(?:[^"]|"")+"|[a-z_\x80-\U0010ffff][\w$]*)\.)?("(?:[^"]|"")+"|[a-z_\x80-\U0010ffff][\w$]*)'
_CAST = r"(?:\)?::[a-z][a-z ]*(?:\(\d+\))?(?:\[\])?)?"
_COMPARED = re.compile(rf"\(\(?{_COLUMN}{_CAST}\)?{_CAST} (=|<>|<=|>=|<|>|~~|IS NULL|IS NOT NULL)( ANY)?")
_EQUAL = ("=", "IS NULL")
_ORDERED = ("<", ">", "<=", ">=")


def without_literals(text: str) -> str:
    """Strings emptied, so that their content is not taken for SQL."""
    return _LITERAL.sub("''", text)


def indexable_columns(condition: str) -> tuple[str, ...]:
    """Columns that a B-tree could find rows by, as PostgreSQL prints them: those held equal first, then one range.

    Empty where the condition has an OR, or compares expressions: those need a person's judgement.
    """
    text = without_literals(condition)
    if " OR " in text:
        return ()
    equal, ordered = [], []
    for match in _COMPARED.finditer(text):
        if match[2] in _EQUAL and match[1] not in equal:
            equal.append(match[1])
        elif match[2] in _ORDERED and match[1] not in ordered:
            ordered.append(match[1])
    return (*equal, *[column for column in ordered if column not in equal][:1])


def tables_in(text: str, aliases: tuple[str, ...]) -> frozenset[str]:
    """Those of `aliases` by which a column in the text is qualified."""
    found = set(re.findall(r'("(?:[^"]|"")+"|[A-Za-z_\x80-\U0010ffff][\w$]*)\.', without_literals(text)))
    bare = {name.strip('"').replace('""', '"') for name in found}
    return frozenset(bare & set(aliases))
