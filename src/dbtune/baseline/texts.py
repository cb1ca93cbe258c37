"""Fingerprints of statement texts: the same statement under another queryid (rules 9 and 10)."""

from __future__ import annotations

import hashlib
import re

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<dollar>\$(?P<tag>[A-Za-z_]\w*)?\$.*?(?:\$(?P=tag)\$|\Z)|\$\$.*?(?:\$\$|\Z))
    | (?P<string>[eEbBxXnN]?'(?:[^'\\]|''|\\.)*(?:'|\Z))
    | (?P<quoted>"(?:[^"]|"")*(?:"|\Z))
    | (?P<param>\$\d+)
    | (?P<number>\b\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\b|\.\d+)
    | (?P<space>\s+)
    | (?P<word>\w+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# PostgreSQL 18 writes a list that it folded as `in ($1 /*, ... */)`; a list of one it leaves as it is.
_FOLDED_BY_SERVER = "/*, ... */"
_LIST = re.compile(r"\bin \( \?(?: , \?)* \)")
_ARRAY = re.compile(r"\barray \[ \?(?: , \?)* \]")


def normalize(text: str) -> str:
    """Lower case outside quotes, one space between tokens, constants and parameters as `?`, without comments."""
    words: list[str] = []
    for match in _TOKEN.finditer(text.replace(_FOLDED_BY_SERVER, ", $1")):
        kind = match.lastgroup
        if kind in ("comment", "space"):
            continue
        if kind in ("dollar", "tag", "string", "param", "number"):
            words.append("?")
        else:
            words.append(match.group() if kind == "quoted" else match.group().lower())
    return " ".join(words)


def fold_lists(normalized: str) -> str:
    """`in ( ? , ? , ? )` of any length becomes one text (rule 10: separate rows before PostgreSQL 18)."""
    return _ARRAY.sub("array [...]", _LIST.sub("in (...)", normalized))


def fingerprint(text: str) -> str:
    """16 hexadecimal digits that are the same for the same statement, whatever its constants and list lengths."""
    return fingerprint_normalized(normalize(text))


def fingerprint_normalized(normalized: str) -> str:
    """As `fingerprint`, of what `normalize` returned."""
    return hashlib.sha256(fold_lists(normalized).encode("utf-8", "surrogatepass")).hexdigest()[:16]
