r"""Glob patterns as Redis matches them (`\ * ? [ ]`), with values that stand for nothing but themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dbtune.core.key_template import KeyTemplate

_SPECIAL = re.compile(rb"([\\*?\[\]])")
_OWN = b"dbtune:"


def escaped(value: bytes) -> bytes:
    """`value` so that it matches itself only: a backslash before each of the five characters that mean something."""
    return _SPECIAL.sub(rb"\\\1", value)


def fill_pattern(text: str, values: Mapping[str, bytes]) -> bytes:
    """`"rec:user:{user_id}:*"` with `values` in place of the names, escaped.

    Raises ValueError for a placeholder that escaping could not protect, for an empty value, which would widen the
    pattern, and what `checked` raises. KeyError for a value that is missing.
    """
    template = KeyTemplate.parse(text)
    for found in re.finditer(r"\{", text):
        before = text[: found.start()]
        if (len(before) - len(before.rstrip("\\"))) % 2 or _in_class(before):
            raise ValueError(f"{text!r}: a value cannot stand behind a backslash or between [ and ]")
    for name in template.columns:
        if not values[name]:
            raise ValueError(f"{text!r}: {name} is empty, which would widen the pattern")
    return checked(template.key([escaped(values[name]) for name in template.columns]))


def checked(pattern: bytes) -> bytes:
    """The pattern itself. Raises ValueError when it begins with anything but a literal prefix, or with our own."""
    shown = pattern.decode(errors="backslashreplace")
    prefix = literal_prefix(pattern)
    if not prefix:
        raise ValueError(f'the pattern "{shown}" must begin with a literal prefix, such as "rec:"')
    if prefix.startswith(_OWN):
        raise ValueError(f'the pattern "{shown}" names keys of dbtune itself, which hold what keeps the cache right')
    return pattern


def literal_prefix(pattern: bytes) -> bytes:
    r"""What every key that matches begins with, unescaped: `rec:\*x*` → `rec:*x`."""
    prefix, place = b"", 0
    while place < len(pattern):
        char = pattern[place : place + 1]
        if char in (b"*", b"?", b"["):
            break
        if char == b"\\" and place + 1 < len(pattern):
            place += 1
            char = pattern[place : place + 1]
        prefix += char
        place += 1
    return prefix


def is_own(key: bytes) -> bool:
    """Whether dbtune keeps its own accounts under it (tags, tombstones, locks)."""
    return key.startswith(_OWN)


def _in_class(before: str) -> bool:
    """Whether an unescaped bracket is open at the end of `before`."""
    is_open, place = False, 0
    while place < len(before):
        if before[place] == "\\":
            place += 1
        elif before[place] == "[":
            is_open = True
        elif before[place] == "]":
            is_open = False
        place += 1
    return is_open
