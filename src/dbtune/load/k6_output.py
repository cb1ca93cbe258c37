"""k6's stream of measurements (`--out json`): a line of JSON for each point of each metric."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

REQUEST, DROPPED, CLIENTS = "http_req_duration", "dropped_iterations", "vus"
# k6 itself writes no blanks; what another program has written again may have some.
_NEEDED = re.compile(rf'"metric"\s*:\s*"(?:{REQUEST}|{DROPPED}|{CLIENTS})"'.encode())
_POINT = re.compile(rb'"type"\s*:\s*"Point"')


@dataclass(frozen=True, slots=True)
class Point:
    """`at` in seconds of the epoch; `value` as k6 counts: milliseconds for a request. `error` says how it failed."""

    metric: str
    at: float
    value: float
    name: str = ""
    error: str | None = None


def needed_lines(text: bytes) -> list[bytes]:
    """Those that name a measurement that is needed: one of the dozen that k6 writes for each request.

    A search from the metric outwards costs a fifth of looking at every line.
    """
    found = []
    for match in _NEEDED.finditer(text):
        end = text.find(b"\n", match.end())
        found.append(text[text.rfind(b"\n", 0, match.start()) + 1 : end if end >= 0 else len(text)])
    return found


def parse_point(line: bytes) -> Point | None:
    """None for a line that is no measurement, or none of those that are needed. Raises ValueError for damage."""
    if not _POINT.search(line) or not _NEEDED.search(line):
        return None
    found = json.loads(line)
    try:
        data = found["data"]
        tags = data.get("tags") or {}
        value = float(data["value"])
        at = _epoch(str(data["time"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a point of k6: {line[:100]!r}") from error
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"k6 measured {value}, which cannot be")
    error_text = None
    if found["metric"] == REQUEST and tags.get("expected_response") == "false":
        error_text = tags.get("error") or f"status {tags.get('status', 'unknown')}"
    return Point(str(found["metric"]), at, value, str(tags.get("name", "")), error_text)


def _epoch(text: str) -> float:
    """`2026-11-23T03:43:37.123456789Z`, with more digits than Python reads, or with an offset."""
    whole, fraction, zone = text[:19], text[19:], ""
    for sign in ("Z", "+", "-"):
        if sign in fraction:
            place = fraction.index(sign)
            fraction, zone = fraction[:place], fraction[place:]
            break
    return _second(whole, zone) + (float(f"0{fraction}") if fraction else 0.0)


@lru_cache(maxsize=64)
def _second(whole: str, zone: str) -> float:
    moment = datetime.fromisoformat(whole + ("+00:00" if zone in ("", "Z") else zone))
    return moment.astimezone(UTC).timestamp()
