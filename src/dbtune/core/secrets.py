"""Passwords never appear in output, errors or the journal: every text that may carry one passes here."""

from __future__ import annotations

import re

_KEYWORD = re.compile(r"(?i)\b((?:ssl)?passw(?:or)?d|passphrase)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;,'\"]+)")
# Greedy up to the last @ of a word: a password with an @ in it is masked too, at the price of masking too much.
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s'\"]*@", re.IGNORECASE)
_SQL = re.compile(r"(?is)\b(password\s+)(e'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(\w*)\$.*?\$\3\$)")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"\[.*|[^:]*(?::\d*(?:,.*)?)?", re.DOTALL)


def unescaped(url: str, marks: str) -> str | None:
    """That of `marks` which stands in the password of `url` and should be percent-encoded; None where all is well.

    `marks` are those that the driver stumbles over: it takes what follows for a host, a port or a database, and
    names it in its errors.
    """
    found = _ADDRESS.match(url)
    if found is None:
        return None
    rest = found[1]
    authority = re.split(f"[{re.escape(marks.replace('@', ''))}]", rest, maxsplit=1)[0]
    if "@" in marks and authority.count("@") > 1:
        return "@"
    is_cut = "@" in rest and "@" not in authority and _HOST.fullmatch(authority) is None
    return rest[len(authority)] if is_cut else None


def mask_password(text: str) -> str:
    """Replaces what follows `password=`, SQL's `PASSWORD '...'`, and what stands between `user:` and `@` in a URL."""
    text = _URL.sub(r"\1:***@", text)
    text = _SQL.sub(r"\1'***'", text)
    return _KEYWORD.sub(r"\1\2***", text)
