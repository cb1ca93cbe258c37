"""Texts from servers and playbooks, made harmless for the place where they are shown.

Names, statements and errors come from outside: they may hold terminal escapes, markup, or characters that reverse
the direction of what follows.
"""

from __future__ import annotations

import re

# CSI and OSC sequences, other escapes of two characters, then every control character but tab and newline.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\^_a-z=>]?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Invisible characters that change the order or the meaning of visible ones; lone surrogates cannot be encoded.
_INVISIBLE = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")


def plain(text: str) -> str:
    """Without terminal escapes and control characters; lines stay lines."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _INVISIBLE.sub("\ufffd", _CONTROLS.sub("\ufffd", text))


def one_line(text: str) -> str:
    """As `plain`, on a single line."""
    return " ".join(plain(text).split())


def capitalized(text: str) -> str:
    """The first letter only: names that follow stay as they are."""
    return text[:1].upper() + text[1:]


def markdown(text: str) -> str:
    """One line that Markdown shows as it stands, also in a table's cell: no markup, no HTML, no link, no mention."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&@$])", r"\\\1", one_line(text))


def markdown_code(text: str, language: str = "sql") -> str:
    """A fenced block whose fence is longer than any run of backticks inside it."""
    text = plain(text).strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
