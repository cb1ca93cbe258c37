"""The most common combinations of extended statistics, read before PostgreSQL does.

They travel in PostgreSQL's stored form (`statext_mcv_serialize` in statistics/mcv.c, 13 to 18), and the server that
takes them apart trusts every length and count in there: what somebody has altered could write over its memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MAGIC, _BASIC = 0xE1A651C2, 1
_MOST_ITEMS, _MOST_DIMENSIONS = 10_000, 8
"""STATS_MCVLIST_MAX_ITEMS and STATS_MAX_DIMENSIONS."""
_SHORT_NUMERIC = 0x8000


@dataclass(frozen=True, slots=True)
class Dimension:
    """What the twin itself says of a column's or an expression's type: pg_type's oid, typname, typlen, typbyval."""

    oid: int
    name: str
    length: int
    by_value: bool


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def values(self, form: str) -> tuple[int, ...]:
        """Raises struct.error beyond the end."""
        found: tuple[int, ...] = struct.unpack_from(f"={form}", self._content, self._at)
        self._at += struct.calcsize(f"={form}")
        return found

    def bytes(self, length: int) -> bytes:
        found = self._content[self._at : self._at + length]
        _expect(len(found) == length, "is cut off")
        self._at += length
        return found

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._content)


def checked(content: bytes, dimensions: Sequence[Dimension]) -> bytes:
    """`content`, if it is what PostgreSQL would have written for those types. Raises ValueError."""
    try:
        _check(_Reader(content), dimensions)
    except struct.error as error:
        raise ValueError("the list of combinations is cut off") from error
    return content


def _check(reader: _Reader, dimensions: Sequence[Dimension]) -> None:
    magic, kind, items = reader.values("III")
    (number,) = reader.values("h")
    _expect(magic == _MAGIC and kind == _BASIC, "is none")
    _expect(2 <= number == len(dimensions) <= _MOST_DIMENSIONS and 0 < items <= _MOST_ITEMS, "is of another shape")
    _expect(reader.values(f"{number}I") == tuple(one.oid for one in dimensions), "is of other types")
    # Its booleans are followed by three bytes that mean nothing.
    shapes = [reader.values("iiii?xxx") for _ in dimensions]
    for shape, dimension in zip(shapes, dimensions, strict=True):
        _check_values(reader, shape, dimension)
    for _ in range(items):
        _expect(set(reader.bytes(number)) <= {0, 1}, "holds no truth values")
        reader.values("dd")
        places = reader.values(f"{number}H")
        # A NULL has place 0, also where a column has nothing else.
        inside = all(place < max(shape[0], 1) for place, shape in zip(places, shapes, strict=True))
        _expect(inside, "points beyond its values")
    _expect(reader.is_at_end, "is longer than what it holds")


def _check_values(reader: _Reader, shape: tuple[int, ...], dimension: Dimension) -> None:
    count, total, aligned, length, by_value = shape
    _expect((length, bool(by_value)) == (dimension.length, dimension.by_value), "is of other types")
    _expect(0 <= count <= _MOST_ITEMS, "holds too many values")
    if length > 0:
        reader.bytes(count * length)
        needed = (count * length, 0 if by_value else count * _aligned(length))
    else:
        may_be = _CONTENTS.get(dimension.name) if length == -1 else None
        if may_be is None:
            raise ValueError(f"values of the type {dimension.name} are not taken from a file")
        values = [reader.bytes(*reader.values("I")) for _ in range(count)]
        _expect(all(map(may_be, values)), "holds values that are none")
        needed = (
            sum(len(value) + 4 for value in values),
            sum(_aligned(len(value) + 4) for value in values),
        )
    _expect((total, aligned) == needed, "counts its bytes wrongly")


def _is_numeric(value: bytes) -> bool:
    """A header of two bytes, or four, and digits of two each."""
    if len(value) < 2 or len(value) % 2:
        return False
    is_short = bool(struct.unpack_from("=H", value)[0] & _SHORT_NUMERIC)
    return is_short or len(value) >= 4


def _is_any(_: bytes) -> bool:
    return True


# Types of varying length whose functions can read whatever bytes there are. The others have a structure of their own.
_CONTENTS: dict[str, Callable[[bytes], bool]] = {
    "text": _is_any,
    "varchar": _is_any,
    "bpchar": _is_any,
    "bytea": _is_any,
    "numeric": _is_numeric,
}


def _aligned(length: int) -> int:
    return -(-length // 8) * 8


def _expect(fine: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not fine:
        raise ValueError(f"the list of combinations {otherwise}")
