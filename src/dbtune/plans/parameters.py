"""Statements as pg_stat_statements keeps them, with `$1` where PostgreSQL's grammar takes none."""

from __future__ import annotations

import re

_TYPED = re.compile(
    r"\b(interval|date|time|timetz|timestamp|timestamptz|(?:timestamp|time) with(?:out)? time zone)\s+(\$\d+)\b",
    re.IGNORECASE,
)
_EXTRACT = re.compile(r"\bextract\s*\(\s*\$\d+\s+from\b", re.IGNORECASE)


def acceptable(statement: str) -> str:
    """`interval $1` is no SQL, `cast($1 as interval)` is; the same for extract, whose field does not change the plan.

    A parameter whose number is then used nowhere stays unknown to the server, so the others keep theirs only where
    EXTRACT's was the last: those numbers are closed up.
    """
    text = _TYPED.sub(r"cast(\2 as \1)", statement)
    return _renumbered(_EXTRACT.sub("extract(epoch from", text))


def _renumbered(statement: str) -> str:
    """Parameters from `$1` on, without gaps, in the order of their numbers."""
    numbers = sorted({int(number) for number in re.findall(r"\$(\d+)", statement)})
    places = {number: place for place, number in enumerate(numbers, 1)}
    return re.sub(r"\$(\d+)", lambda match: f"${places[int(match[1])]}", statement)
