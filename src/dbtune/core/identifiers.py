"""Names as PostgreSQL reads them, for parameters of type regclass and for people. Statements use psycopg.sql."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from functools import cache

LONGEST = 63
"""Bytes of an identifier: NAMEDATALEN - 1 in PostgreSQL."""


def quote(*parts: str) -> str:
    """`quote("public", "My table")` → `"public"."My table"`."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def split_name(name: str) -> tuple[str | None, str]:
    """`"app.users"` → ("app", "users"), `"users"` → (None, "users"); double quotes protect dots: `'"a.b"'`."""
    parts, current, quoted, position = [], "", False, 0
    while position < len(name):
        char = name[position]
        if char == '"' and quoted and name[position + 1 : position + 2] == '"':
            current, position = current + '"', position + 1
        elif char == '"':
            quoted = not quoted
        elif char == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
        position += 1
    parts.append(current)
    return (parts[0], ".".join(parts[1:])) if len(parts) > 1 else (None, parts[0])


def shorten(name: str, suffix: str) -> str:
    """`name + suffix` within 63 bytes; what is cut is replaced by a digest, so that two long names stay apart."""
    whole = name + suffix
    if len(whole.encode()) <= LONGEST:
        return whole
    digest = "_" + hashlib.sha256(name.encode()).hexdigest()[:6]
    room = LONGEST - len((digest + suffix).encode())
    return name.encode()[:room].decode(errors="ignore") + digest + suffix


def ways_to_join(joined: str, parts: Iterable[str]) -> int:
    """How often `joined` can be had by joining `parts` with underscores: `a_b` of a, b and a_b in two ways."""
    known = tuple(parts)

    @cache
    def ways(rest: str) -> int:
        longer = sum(ways(rest[len(part) + 1 :]) for part in known if rest.startswith(f"{part}_"))
        return longer + known.count(rest)

    return ways(joined)


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """The known names that a person may have meant, best first."""
    return tuple(difflib.get_close_matches(name, list(known), n=most, cutoff=0.6))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`did you mean "a" or "b"?`, or None when nothing is near."""
    names = nearest(name, known)
    return f"did you mean {' or '.join(repr(near).replace(chr(39), chr(34)) for near in names)}?" if names else None
