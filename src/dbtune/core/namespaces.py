"""From a key of Redis to the namespace that it belongs to, so that thousands of keys become a few rows."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[:/|]")
_VARIABLE = re.compile(r"\d|^[A-Za-z0-9_=-]{24,}$")
"""A part with a digit is an id or a date; so is a long run without any break."""
_LAST_NUMBER = re.compile(r"\d.*$", re.DOTALL)


def namespace(key: str) -> str:
    """`"rec:content:42:full"` → `"rec:content:*:full"`, `"user42"` → `"user*"`, `"config"` → `"config"`."""
    parts = _SEPARATORS.split(key)
    if len(parts) == 1:
        return _LAST_NUMBER.sub("*", key) if len(key) < 24 else "*"
    separators = _SEPARATORS.findall(key)
    starred = ["*" if _VARIABLE.search(part) else part for part in parts]
    return starred[0] + "".join(mark + part for mark, part in zip(separators, starred[1:], strict=True))


def shorter(prefix: str, parts: int) -> str:
    """The first `parts` of a namespace; what was cut is a star: `("a:b:c", 1)` → `"a:*"`."""
    found = _SEPARATORS.split(prefix)
    if len(found) <= parts:
        return prefix
    cut = sum(len(part) + 1 for part in found[:parts])
    return prefix[:cut] + "*"


def namespaces(keys: tuple[str, ...], most: int = 200) -> tuple[str, ...]:
    """The namespace of each key, shortened until there are at most `most` of them."""
    found = tuple(namespace(key) for key in keys)
    for parts in (3, 2, 1):
        if len(set(found)) <= most:
            return found
        found = tuple(shorter(prefix, parts) for prefix in found)
    return found if len(set(found)) <= most else tuple("*" for _ in found)
