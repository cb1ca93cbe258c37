"""Statements as texts: which ones can be planned, cut out of scripts, with values in place of `$1`.

All of it works on tokens, in one pass over the text: a statement may be megabytes long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST = 1_000_000
"""Characters. A longer one is data with a little SQL around it."""
TRANSACTION = "it begins or ends a transaction"
HIDDEN = "<insufficient privilege>"
_PLANNED = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})
_TRANSACTIONS = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"})

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w]*)?)\$)
    | (?P<escape>\b[eE]'(?:[^'\\]|''|\\.)*(?P<escape_end>'|\Z))
    | (?P<string>'(?:[^']|'')*(?P<string_end>'|\Z))
    | (?P<quoted>"(?:[^"]|"")*(?P<quoted_end>"|\Z))
    | (?P<param>\$\d+)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMAND = re.compile(
    "alter|analy[sz]e|call|checkpoint|close|cluster|comment|copy|create|deallocate|declare|discard|do|drop|execute|"
    "explain|fetch|grant|import|listen|load|lock|move|notify|prepare|reassign|refresh|reindex|reset|revoke|security|"
    "set|show|truncate|unlisten|vacuum"
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
# What only carries a statement: its plan is that of the statement inside.
_WRAPPED = (
    re.compile(
        r"prepare\s+(?:\"(?:[^\"]|\"\")*\"|\w+)\s*(?:\([^)]*\))?\s*as\s+(?P<inner>.+)", re.IGNORECASE | re.DOTALL
    ),
    re.compile(
        r"declare\s+(?:\"(?:[^\"]|\"\")*\"|\w+)\s+(?:(?:binary|insensitive|asensitive|no|scroll)\s+)*cursor\s+"
        r"(?:with(?:out)?\s+hold\s+)?for\s+(?P<inner>.+)",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(r"copy\s*\((?P<inner>.+)\)\s*to\b[^()]*(?:\([^()]*\))?\s*", re.IGNORECASE | re.DOTALL),
    re.compile(
        r"create\s+(?:(?:global|local|temp|temporary|unlogged)\s+)*table\s+(?:if\s+not\s+exists\s+)?[^\s(]+"
        r"\s+as\s+(?P<inner>(?:select|with|values|table|\().+)",
        re.IGNORECASE | re.DOTALL,
    ),
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: comment, dollar, string, quoted, param, word, number, space, other. `is_cut`: the text ends within it."""

    kind: str
    text: str
    start: int
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A statement that can be planned, or the reason why there is none."""

    sql: str | None
    reason: str = ""


def tokens(text: str) -> Iterator[Token]:
    """Every character of `text` in some token. Block comments nest, as PostgreSQL has it."""
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise AssertionError("the last alternative matches any character")
        kind, end = match.lastgroup or "other", match.end()
        if kind.endswith("_end"):
            kind = kind.removesuffix("_end")
        is_cut = kind in ("escape", "string", "quoted") and not match[f"{kind}_end"]
        if match["block"] is not None:
            end, is_cut = _block_end(text, place)
            kind = "comment"
        elif match["dollar"] is not None:
            closing = text.find(match["dollar"], end)
            is_cut, end = closing < 0, len(text) if closing < 0 else closing + len(match["dollar"])
            kind = "dollar"
        yield Token("string" if kind == "escape" else kind, text[place:end], place, is_cut)
        place = end


def _block_end(text: str, start: int) -> tuple[int, bool]:
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end(), False
    return len(text), True


def split_script(text: str) -> Iterator[tuple[int, str]]:
    """(offset, statement) between semicolons outside of quotes, comments and BEGIN ATOMIC's parentheses."""
    start = depth = 0
    for token in tokens(text):
        if token.kind != "other":
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == ";" and depth <= 0:
            yield start, text[start : token.start]
            start, depth = token.start + 1, 0
    if text[start:].strip():
        yield start, text[start:]


def statement_of(text: str | None) -> Found:
    """What of a text the planner can be asked about."""
    reason = _unreadable(text)
    if reason is not None or text is None:
        return Found(None, reason or "")
    sql, words, is_cut = _trimmed(text)
    if not words or is_cut:
        return Found(None, "its text is cut off" if words else "it is empty")
    if words[0] in _PLANNED:
        return Found(sql)
    for wrapping in _WRAPPED:
        inner = wrapping.fullmatch(sql)
        if inner is not None:
            return statement_of(inner["inner"])
    if words[0] in _TRANSACTIONS:
        return Found(None, TRANSACTION)
    what = "is a command, which has no plan" if _COMMAND.fullmatch(words[0]) else "begins no statement"
    return Found(None, f"{words[0].upper()[:30]} {what}")


def _unreadable(text: str | None) -> str | None:
    if text is None:
        return "its text is lost"
    if text.strip() == HIDDEN:
        return "its text may not be read: grant pg_read_all_stats to this role"
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST:,} characters"
    return "it holds a null character, which PostgreSQL takes for the end" if "\x00" in text else None


def _trimmed(text: str) -> tuple[str, list[str], bool]:
    """Without comments around it and the semicolon; the first word in lower case; whether it ends too early."""
    first = last = None
    words: list[str] = []
    depth, is_cut = 0, False
    for token in tokens(text):
        is_cut = is_cut or token.is_cut
        if token.kind in ("space", "comment") or (token.text == ";" and depth == 0):
            continue
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        first = token.start if first is None else first
        last = token.start + len(token.text)
        if not words and token.text != "(":
            words.append(token.text.lower())
    sql = "" if first is None else text[first:last]
    return sql, words, is_cut or depth > 0


def count_parameters(sql: str) -> int:
    """How many different `$n` are outside of quotes and comments."""
    if "$" not in sql:
        return 0
    return len({token.text for token in tokens(sql) if token.kind == "param"})


def with_values(sql: str, values: Mapping[int, str]) -> str:
    """`$n` replaced by SQL literals; those without one are numbered anew from 1, as PostgreSQL allows no gaps."""
    places: dict[str, int] = {}
    parts = []
    for token in tokens(sql):
        if token.kind != "param":
            parts.append(token.text)
        elif int(token.text[1:]) in values:
            literal = values[int(token.text[1:])]
            # `in($1)` and `-$1` would grow together with a negative number or a word.
            parts.append(f" {literal}" if parts and parts[-1][-1:] in "-$" else literal)
        else:
            parts.append(f"${places.setdefault(token.text, len(places) + 1)}")
    return "".join(parts)


def limit_parameters(sql: str) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of parameters that are a LIMIT (or FETCH FIRST), and those that are an OFFSET."""
    found: dict[str, set[int]] = {"limit": set(), "offset": set()}
    before = ""
    for token in tokens(sql):
        if token.kind in ("space", "comment") or token.text == "(":
            continue
        if token.kind == "param" and before in found:
            found[before].add(int(token.text[1:]))
        word = token.text.lower()
        before = "limit" if word in ("limit", "first", "next") else word
    return frozenset(found["limit"]), frozenset(found["offset"])


def words_of(sql: str) -> frozenset[str]:
    """Every name in it as PostgreSQL reads it: what of these is a relation, the catalog knows."""
    return frozenset(
        token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text.lower()
        for token in tokens(sql)
        if token.kind in ("quoted", "word")
    )
