"""Key templates: `"rec:content:{id}:full"`, the names in braces being columns of a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_PIECE = re.compile(r"\{(?P<name>[^{}]*)\}|(?P<brace>[{}])|(?P<literal>[^{}]+)")
# What SQL takes unquoted; anything else is renamed in the query (`select "user id" as user_id`).
_COLUMN = re.compile(r"[^\W\d][\w$]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A literal text, or the name of a column."""

    text: str
    is_column: bool = False


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """`pattern` is for bytes formatting, with a `%b` for each of `columns`, in the order of the template."""

    text: str
    columns: tuple[str, ...]
    pattern: bytes
    pieces: tuple[Piece, ...]

    @property
    def literal_prefix(self) -> str:
        """What every key begins with."""
        first = self.pieces[0]
        return "" if first.is_column else first.text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for an empty template, an unbalanced brace, or braces around anything but a name."""
        if not text:
            raise ValueError("a key template cannot be empty")
        pieces: list[Piece] = []
        pattern = b""
        for match in _PIECE.finditer(text):
            if match["brace"]:
                raise ValueError(f"{text!r} has an unbalanced {match['brace']!r} at character {match.start() + 1}")
            if match["literal"]:
                pattern += match["literal"].replace("%", "%%").encode()
                pieces.append(Piece(match["literal"]))
                continue
            if not _COLUMN.fullmatch(match["name"]):
                raise ValueError(
                    f"{text!r} needs the name of a column between its braces, not {match['name']!r}:"
                    " letters, digits and _; select others AS such a name"
                )
            pieces.append(Piece(match["name"], is_column=True))
            pattern += b"%b"
        columns = tuple(piece.text for piece in pieces if piece.is_column)
        return cls(text, columns, pattern, tuple(pieces))

    def key(self, values: Sequence[bytes]) -> bytes:
        """The key of one row: `values` go in as they are, one for each of `columns`."""
        return self.pattern % tuple(values)
