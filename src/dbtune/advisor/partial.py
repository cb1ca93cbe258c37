"""Partial indexes: for a condition that stands in the statement as a constant, and that few rows meet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from dbtune.advisor.access import Access, Condition
from dbtune.advisor.arrays import array_items
from dbtune.advisor.index import IndexDefinition, IndexKey
from dbtune.advisor.keys import LISTED, PATTERNS, TEXTS, column_of
from dbtune.advisor.printed import string_of
from dbtune.advisor.sequences import KeySequence, key_sequences
from dbtune.advisor.source import ColumnStatistics, Source, Table

MOST_SHARE = 0.6
"""Of the rows: an index that holds more than this saves too little for one that serves so few statements."""
MOST_VALUES = 30
"""Distinct values of a column that is a state, a kind, a flag; with more, a constant in a statement is one of many."""
MOST_NUMBERS = 8
"""The same for other types than texts and enums: a number in a statement is seldom there to stay."""
_VALUES = ("=", "= any", "<>", "<> all")
_IDENTIFIES = re.compile(r"(^|_)(id|ID)$|[a-z]I[Dd]$", re.ASCII)
"""A number in such a column names a row: the next statement asks for another one."""
_MOST_SEQUENCES = 8
LEAST_NULLS = 0.5
"""Of the rows, that are NULL in a column: the check `null-heavy-index` complains of an index that holds them."""
_STRICT = ("=", "<", ">", "<=", ">=", *LISTED, *PATTERNS)
"""Operators that are never true of NULL."""
_PRINTED = re.compile(r"""\(*("(?:[^"]|"")+"|[^\W\d][\w$]*)""")


def partial_indexes(access: Access, source: Source, table: Table) -> Iterator[tuple[IndexDefinition, str]]:
    """(index, why); conditions one by one, then all of them together."""
    fixed = [one for one in access.conditions if is_worth_fixing(one, table)]
    groups = [(one,) for one in fixed] + ([tuple(fixed)] if len(fixed) > 1 else [])
    for group in groups:
        where = " AND ".join(f"({one.text})" if len(group) > 1 else one.text for one in group)
        left_out = frozenset(one.key.text for one in group)
        sequences: list[KeySequence] = list(
            islice(key_sequences(access, source, table, leaving_out=left_out), _MOST_SEQUENCES)
        )
        if not sequences:
            sequences = [KeySequence((IndexKey(column=_own_key(access, group, table)),), "the rows themselves")]
        for sequence in sequences:
            yield (
                IndexDefinition(table.schema, table.name, sequence.keys, where=where),
                f"{sequence.why}, only where {where}",
            )


def without_nulls(access: Access, source: Source, table: Table) -> Iterator[tuple[IndexDefinition, str]]:
    """Where a condition finds no NULL, whatever its value, an index need not hold them."""
    for condition in access.conditions:
        column, printed = column_of(table, condition.key), _PRINTED.match(condition.text)
        if condition.operator not in _STRICT or column is None or column.stats is None or printed is None:
            continue
        if column.stats.null_frac < LEAST_NULLS or printed[1].strip('"').replace('""', '"') != column.name:
            continue
        where = f"{printed[1]} IS NOT NULL"
        for sequence in islice(key_sequences(access, source, table), _MOST_SEQUENCES):
            if any(key.column == column.name for key in sequence.keys):
                definition = IndexDefinition(table.schema, table.name, sequence.keys, where=where)
                yield definition, f"{sequence.why}, only where {where}"


def is_worth_fixing(condition: Condition, table: Table) -> bool:
    """Whether an index for the rows that meet it alone would be much smaller than one for all."""
    column = column_of(table, condition.key)
    if not condition.is_fixed or column is None:
        return False
    is_name = column.kind == "e" or column.base in TEXTS
    if not is_name and condition.operator in _VALUES and _IDENTIFIES.search(column.name):
        return False
    share = share_of(condition, column.stats, table, is_name=is_name)
    return share is not None and share <= MOST_SHARE


def share_of(
    condition: Condition, stats: ColumnStatistics | None, table: Table, *, is_name: bool = True
) -> float | None:
    """Of the rows; None where it cannot be told, or the constant is one of too many to be a state."""
    if stats is None:
        return None
    common = dict(stats.common)
    known = 1.0 - stats.null_frac
    match condition.operator:
        case "is null":
            return stats.null_frac
        case "is not null":
            return known
        case "true" | "is true":
            return common.get("t", 0.0 if common else None)
        case "false" | "is false":
            return common.get("f", 0.0 if common else None)
    if stats.distinct(max(table.live_rows, 1.0)) > (MOST_VALUES if is_name else MOST_NUMBERS):
        return None
    values = _values(condition)
    rest = max(known - sum(common.values()), 0.0) / 2
    shares = sum(common.get(value, rest) for value in values)
    match condition.operator:
        case "=" | "= any":
            return shares
        case "<>" | "<> all":
            return known - shares
    return None


def _values(condition: Condition) -> tuple[str | None, ...]:
    text = string_of(condition.value)
    if text is None:
        return (condition.value.strip("()"),)
    return array_items(text) if condition.operator.endswith((" any", " all")) else (text,)


def _own_key(access: Access, group: tuple[Condition, ...], table: Table) -> str:
    """Nothing else is asked of the rows: the key is what the statement returns, else the condition's own column."""
    fixed = [one.key.text for one in group]
    shown = [column.name for column in table.columns if column.name in access.shown and column.name not in fixed]
    return shown[0] if 0 < len(shown) < len(table.columns) - len(fixed) else fixed[0]
