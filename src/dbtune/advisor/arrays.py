"""How PostgreSQL writes its statistics: values as array literals, counts of combinations as objects."""

from __future__ import annotations

import json
from collections.abc import Iterator


def array_items(literal: str | None) -> tuple[str | None, ...]:
    """The elements of a one-dimensional array literal, NULL as None: `{a,"b,c",NULL}` → ("a", "b,c", None)."""
    if literal is None or len(literal) < 2:
        return ()
    items, current, quoted, was_quoted, position = list[str | None](), list[str](), False, False, 1
    end = len(literal) - 1
    while position < end:
        char = literal[position]
        if char == "\\":
            position += 1
            current.append(literal[position])
        elif char == '"':
            quoted, was_quoted = not quoted, True
        elif char == "," and not quoted:
            items.append(_item(current, was_quoted=was_quoted))
            current, was_quoted = [], False
        else:
            current.append(char)
        position += 1
    if items or current or was_quoted:
        items.append(_item(current, was_quoted=was_quoted))
    return tuple(items)


def array_literal(items: tuple[str | None, ...]) -> str:
    """The reverse of `array_items`; everything is quoted."""
    escaped = ("NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items)
    return "{" + ",".join(escaped) + "}"


def counted(text: str | None) -> Iterator[tuple[str, float]]:
    """The items of `distinct` or `dependencies`: `{"1, 2": 100}` → ("1, 2", 100.0). Raises ValueError for another."""
    found = {} if text is None else json.loads(text)
    if not isinstance(found, dict) or not all(type(count) in (int, float) for count in found.values()):
        raise ValueError("the counts of extended statistics are no object of numbers")
    yield from ((key, float(count)) for key, count in found.items())


def _item(characters: list[str], *, was_quoted: bool) -> str | None:
    text = "".join(characters)
    return None if text == "NULL" and not was_quoted else text
