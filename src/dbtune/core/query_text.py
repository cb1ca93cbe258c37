"""A person's query as a part of ours: without what would end the statement around it."""

from __future__ import annotations

import re

_READING = ("SELECT", "WITH", "VALUES", "TABLE", "(")
_COMMENT = re.compile(r"--|/\*")
_FIRST = re.compile(r"\s*(\(|[^\W\d]\w*)")


def bare_query(text: str) -> str:
    """`text` without the semicolons, comments and spaces that end it.

    It may still begin with a comment, and must be followed by a newline where it is put into another statement.
    Raises ValueError when nothing is left, or when it begins with anything but SELECT, WITH, VALUES or TABLE.
    """
    first = _FIRST.match(text)
    if first is not None and first[1].upper() in _READING and not _COMMENT.search(text):
        # Most queries: a lexer takes as long to import as a warm-up to connect.
        return text.rstrip("; \t\r\n\f\v")
    return _lexed(text)


def _lexed(text: str) -> str:
    from sqlparse import lexer, tokens

    pieces = [
        (value, kind in tokens.Comment or kind in tokens.Whitespace)
        for kind, value in lexer.tokenize(text)  # type: ignore[no-untyped-call]
    ]
    while pieces and (pieces[-1][1] or pieces[-1][0] == ";"):
        pieces.pop()
    first = next((value for value, is_blank in pieces if not is_blank), None)
    if first is None:
        raise ValueError("the query is empty")
    if first.upper() not in _READING:
        raise ValueError(f"the query has to read (SELECT, WITH, VALUES or TABLE), and begins with {first!r}")
    return "".join(value for value, _ in pieces)
