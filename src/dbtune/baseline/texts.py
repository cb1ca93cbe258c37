"""Fingerprints of statement texts: the same statement under another queryid (rules 9 and 10)."""

from __future__ import annotations

import hashlib
import re

# What is left between these is words and single characters, which `_PLAIN` finds much faster than one expression for
# all kinds would: thousands of texts are read at a time. For the same reason it begins with one set of characters, and
# only then looks back at which one it was.
_SPECIAL = re.compile(
    r"""
    [-/$'".\d] (?:
        (?P<comment>(?<=-)-[^\n]* | (?<=/)\*.*?(?:\*/|\Z))
      | (?P<string>(?<=')(?:[^'\\]|''|\\.)*(?:'|\Z))
      | (?P<quoted>(?<=")(?:[^"]|"")*(?:"|\Z))
      | (?P<constant>
            (?<=\$)\d+
          | (?<=\$)(?P<tag>[A-Za-z_]\w*)\$.*?(?:\$(?P=tag)\$|\Z)
          | (?<=\$)\$.*?(?:\$\$|\Z)
          | (?<=\d)(?<!\w\d)\d*(?:\.\d*)?(?:[eE][+-]?\d+)?\b
          | (?<=\.)\d+
        )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
# A letter that stands alone before a quote belongs to it: E'…', B'…'.
_PREFIX = re.compile(r"(?<!\w)[eEbBxXnN]\Z")
_PLAIN = re.compile(r"\w+|[^\w\s]")
# PostgreSQL 18 writes a list that it folded as `in ($1 /*, ... */)`; a list of one it leaves as it is.
_FOLDED_BY_SERVER = "/*, ... */"
_LIST = re.compile(r"\bin \( \?(?: , \?)* \)")
_ARRAY = re.compile(r"\barray \[ \?(?: , \?)* \]")


def normalize(text: str) -> str:
    """Lower case outside quotes, one space between tokens, constants and parameters as `?`, without comments."""
    words: list[str] = []
    text = text.replace(_FOLDED_BY_SERVER, ", $1")
    end = 0
    for match in _SPECIAL.finditer(text):
        kind, between = match.lastgroup, text[end : match.start()]
        if kind == "string" and between:
            between = _PREFIX.sub("", between)
        words += map(str.lower, _PLAIN.findall(between))
        if kind != "comment":
            words.append(match.group() if kind == "quoted" else "?")
        end = match.end()
    words += map(str.lower, _PLAIN.findall(text[end:]))
    return " ".join(words)


def fold_lists(normalized: str) -> str:
    """`in ( ? , ? , ? )` of any length becomes one text (rule 10: separate rows before PostgreSQL 18)."""
    if "in ( ?" in normalized:
        normalized = _LIST.sub("in (...)", normalized)
    return _ARRAY.sub("array [...]", normalized) if "array [ ?" in normalized else normalized


def fingerprint(text: str) -> str:
    """16 hexadecimal digits that are the same for the same statement, whatever its constants and list lengths."""
    return fingerprint_normalized(normalize(text))


def fingerprint_normalized(normalized: str) -> str:
    """As `fingerprint`, of what `normalize` returned."""
    return hashlib.sha256(fold_lists(normalized).encode("utf-8", "surrogatepass")).hexdigest()[:16]
