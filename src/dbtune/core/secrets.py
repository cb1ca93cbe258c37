"""Passwords never appear in output, errors or the journal: every text that may carry one passes here."""

from __future__ import annotations

import re

_KEYWORD = re.compile(r"(?i)\b((?:ssl)?passw(?:or)?d|passphrase)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;,'\"]+)")
# Greedy up to the last @ of a word: a password with an @ in it is masked too, at the price of masking too much.
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s'\"]*@", re.IGNORECASE)
_SQL = re.compile(r"(?is)\b(password\s+)(e'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(\w*)\$.*?\$\3\$)")


def mask_password(text: str) -> str:
    """Replaces what follows `password=`, SQL's `PASSWORD '...'`, and what stands between `user:` and `@` in a URL."""
    text = _URL.sub(r"\1:***@", text)
    text = _SQL.sub(r"\1'***'", text)
    return _KEYWORD.sub(r"\1\2***", text)
