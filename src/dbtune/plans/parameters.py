"""Statements as pg_stat_statements keeps them, with `$1` where PostgreSQL's grammar takes none."""

from __future__ import annotations

import re

_LITERAL_TYPES = (
    "interval|date|time|timetz|timestamp|timestamptz|(?:timestamp|time) with(?:out)? time zone"
    "|inet|cidr|macaddr8?|point|box|lseg|line|path|polygon|circle|uuid|jsonb?|jsonpath|xml|bytea|money|numeric|decimal"
    "|tsquery|tsvector|regclass|regtype|regproc|regconfig|bool|boolean|int[248]?|integer|bigint|smallint|float[48]"
    "|real|double precision|text|(?:int[48]|num|date|ts|tstz)(?:multi)?range"
)
"""Types that people write before a literal; of their own types nobody knows."""
_TYPED = re.compile(rf"(?<![.\w])({_LITERAL_TYPES})\s+(\$\d+)\b", re.IGNORECASE)
_CALLED = re.compile(r'[\w$."\x80-\U0010ffff]+\s*\(')
_BEFORE = re.compile(r"\$\d+\s*$")
_BEHIND = re.compile(r"[-+*/<>=~!@#%^&|`?]+\s*\$\d+")
_EXTRACT = re.compile(r"\bextract\s*\(\s*\$\d+\s+from\b", re.IGNORECASE)


def typed(statement: str) -> str:
    """`interval $1` is no SQL, `cast($1 as interval)` is."""
    return _TYPED.sub(r"cast(\2 as \1)", statement)


def acceptable(statement: str) -> str:
    """As `typed`, and EXTRACT with a field of its own, which does not change the plan.

    Its parameter is gone then, and the numbers of the others are closed up: only for statements without values.
    """
    return _renumbered(_EXTRACT.sub("extract(epoch from", typed(statement)))


def _renumbered(statement: str) -> str:
    """Parameters from `$1` on, without gaps, in the order of their numbers."""
    numbers = sorted({int(number) for number in re.findall(r"\$(\d+)", statement)})
    places = {number: place for place, number in enumerate(numbers, 1)}
    return re.sub(r"\$(\d+)", lambda match: f"${places[int(match[1])]}", statement)


def with_types(statement: str, place: int, type_name: str = "int") -> str:
    """With casts of the parameters of the call, or beside the operator, that begins at `place` (from 0).

    For `generate_series($1, $2)` and `$1 + $2`, of which the server says that they are not unique.
    """
    called = _CALLED.match(statement, place)
    if called is None:
        beside = _BEFORE.search(statement, 0, place) or _BEHIND.match(statement, place)
        return statement if beside is None else _cast(statement, beside.start(), beside.end(), type_name)
    depth, end = 0, len(statement)
    for position in range(called.end() - 1, len(statement)):
        depth += {"(": 1, ")": -1}.get(statement[position], 0)
        if depth == 0:
            end = position
            break
    return _cast(statement, called.end(), end, type_name)


def with_types_everywhere(statement: str, type_name: str = "int") -> str:
    """With a cast of every parameter that has none: the last resort."""
    return _cast(statement, 0, len(statement), type_name)


def with_type_of(statement: str, number: int, type_name: str = "text") -> str:
    """With a cast of `$number`, whose type the server cannot tell."""
    return re.sub(rf"\${number}(?!\d|::)", f"${number}::{type_name}", statement, count=1)


def _cast(statement: str, start: int, end: int, type_name: str) -> str:
    part = re.sub(r"(\$\d+)(?!\d|::)", rf"\1::{type_name}", statement[start:end])
    return statement[:start] + part + statement[end:]
