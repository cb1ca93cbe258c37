"""What a plain YAML scalar means here: the core schema of YAML 1.2, without what surprises.

`on`, `off`, `yes` and `no` are text (a PostgreSQL setting, a country), `12:30:00` is text and not a number of
base 60, `0777` is text because the zero means something to whoever wrote it, dates are text.
"""

from __future__ import annotations

import re

Value = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLOAT = re.compile(r"[-+]?([0-9]{1,30}\.[0-9]{0,30}|\.[0-9]{1,30}|[0-9]{1,30}(?=[eE]))([eE][-+]?[0-9]{1,2})?")


def resolve(text: str) -> Value:
    """The value of an unquoted, untagged scalar."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def convert(text: str, tag: str) -> Value:
    """The value of a scalar with an explicit standard tag (`!!int` …). Raises ValueError."""
    if tag == "str":
        return text
    value = resolve(text)
    wanted = {"null": type(None), "bool": bool, "int": int, "float": float}[tag]
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(text)
    return value
