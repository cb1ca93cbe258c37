"""The words of a complaint: names quoted, lists joined, the nearest name suggested."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

_MAX_SHOWN = 60


class Refusal(Exception):
    """An expression that is wrong or not allowed, in plain words."""


def quoted(text: object) -> str:
    """A name or value as a message shows it, on one line and short."""
    shown = " ".join(str(text).split())
    return f'"{shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 1] + "…"}"'


def listed(words: Iterable[str], conjunction: str) -> str:
    """`a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower()[:_MAX_SHOWN], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "columns"?`, or nothing where no known name is near."""
    meant = nearest(name, known)
    return f"; did you mean {quoted(meant)}?" if meant else ""


def word_for(value: object) -> str:
    """A value's type in plain words."""
    if value is None:
        return "nothing"
    for kind, word in ((bool, "true or false"), (int | float, "a number"), (str, "text"), (Mapping, "a mapping")):
        if isinstance(value, kind):
            return word
    return "a list"
