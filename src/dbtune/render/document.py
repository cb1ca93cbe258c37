"""Values as JSON documents hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Any

# Beyond this, JavaScript and jq round integers: such ids are written as strings.
_EXACT = 2**53


def to_json(document: Mapping[str, Any]) -> str:
    """Indented, in the given order, valid for every strict parser.

    Written here and not by `json.dumps`, whose indenting encoder is in Python, and takes several times as long: a
    report may have thousands of findings.
    """
    return _text(document, "\n")


def _text(value: Any, line: str) -> str:  # noqa: ANN401 - any JSON value, and what servers return beside them
    """`line` begins a new one with the indentation of the value."""
    if isinstance(value, str):
        # A lone surrogate cannot be written as UTF-8.
        return quoted(value if value.isascii() else value.encode("utf-8", "replace").decode())
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) <= _EXACT else f'"{value}"'
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "null"
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    inner = line + "  "
    if isinstance(value, Mapping):
        return _block("{}", [f"{_text(str(key), inner)}: {_text(item, inner)}" for key, item in value.items()], line)
    if isinstance(value, list | tuple | set | frozenset):
        return _block("[]", [_text(item, inner) for item in value], line)
    return _text(str(value), line)


def _block(brackets: str, items: Iterable[str], line: str) -> str:
    content = f",{line}  ".join(items)
    return f"{brackets[0]}{line}  {content}{line}{brackets[1]}" if content else brackets
