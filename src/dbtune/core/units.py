"""Durations, sizes and shares as people write them, and back.

Durations are seconds (float) inside dbtune, sizes bytes (int), shares fractions (0.1 is 10 %).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_DURATIONS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
# PostgreSQL's convention: kB is 1024 bytes, and so is every spelling of it.
_SIZES = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_QUANTITY = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([a-zA-Zµ%]*)\s*")


def parse_duration(text: str | float) -> float:
    """`"100ms"`, `"1.5h"`, `"1h 30min"` → seconds. A bare number other than 0 has no unit and is refused.

    Raises ValueError with the accepted units.
    """
    if text in (0, "0"):
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-zµ]+)", str(text).strip())
    rest = re.sub(r"(\d+(?:\.\d+)?)\s*([a-zµ]+)|\s", "", str(text))
    if rest or not parts or any(unit not in _DURATIONS_S for _, unit in parts):
        raise ValueError(f"{text!r} is not a duration: write a number and one of {', '.join(_DURATIONS_S)}")
    return sum(float(number) * _DURATIONS_S[unit] for number, unit in parts)


def parse_size(text: str | int) -> int:
    """`"64MB"`, `"8kB"` → bytes, 1 kB being 1024 as in PostgreSQL. Raises ValueError."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None or match[2].lower() not in _SIZES:
        raise ValueError(f"{text!r} is not a size: write a number and one of B, kB, MB, GB, TB")
    return int(float(match[1]) * _SIZES[match[2].lower()])


def parse_share(text: str | float) -> float:
    """`"10%"` or 0.1 → 0.1; between 0 and 1. Raises ValueError."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None or match[2] not in ("", "%"):
        raise ValueError(f"{text!r} is not a share: write a percentage such as 10%")
    share = float(match[1]) / (100 if match[2] else 1)
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is not between 0% and 100%")
    return share


def format_duration(seconds: float) -> str:
    """A duration with three significant digits and the unit that suits it: `"3.12ms"`, `"1.50s"`, `"2m05s"`."""
    if seconds == 0:
        return "0s"
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds >= 3600:
        return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02d}m"
    if seconds >= 100:
        return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= factor or unit == "µs":
            return f"{_three_digits(seconds / factor)}{unit}"
    raise AssertionError("unreachable")


def format_size(size_bytes: float) -> str:
    """`"1.2 GB"`, in the 1024-based units that PostgreSQL prints."""
    if size_bytes < 0:
        return "-" + format_size(-size_bytes)
    for unit, factor in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if size_bytes >= factor:
            return f"{_three_digits(size_bytes / factor)} {unit}"
    return f"{int(size_bytes)} B"


def _three_digits(number: float) -> str:
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "pattern": pattern, "examples": [example]})


Duration = Annotated[float, BeforeValidator(parse_duration), _schema(r"^[\d.]+ ?(us|ms|s|min|m|h|d|w)", "100ms")]
Size = Annotated[int, BeforeValidator(parse_size), _schema(r"^[\d.]+ ?[kKMGT]?[bB]$", "64MB")]
Share = Annotated[float, BeforeValidator(parse_share), _schema(r"^[\d.]+ ?%?$", "10%")]
