"""Latencies of many requests as counts: a few kilobytes for millions, merged without loss.

The form is HdrHistogram's (http://hdrhistogram.org, V2, zlib, base64), three significant digits: a percentile read
from it is off by at most 0.1 %. The unit inside is 100 ns, so that even the times of a cache have three digits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_UNITS_PER_S = 10_000_000
_MOST = 24 * 3600 * _UNITS_PER_S
_DIGITS = 3
_BITS = 11
"""2 ** 11 steps for each doubling: what three significant digits need."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """`encoded` is HdrHistogram's base64; `sum_s` is exact, `low_s` and `high_s` the smallest and largest value."""

    encoded: str
    count: int
    sum_s: float
    low_s: float
    high_s: float

    @property
    def mean_s(self) -> float:
        """Raises ZeroDivisionError for an empty histogram."""
        return self.sum_s / self.count

    def points(self) -> tuple[tuple[float, int], ...]:
        """(seconds, how many), ascending. Raises ValueError for a damaged encoding."""
        return _decoded(self.encoded)


EMPTY = Histogram("", 0, 0.0, 0.0, 0.0)


def of_values(values_s: Iterable[float]) -> Histogram:
    """Raises ValueError for a time that is negative, infinite or not a number."""
    return of_counts(Counter(values_s))


def of_counts(counts: Mapping[float, int]) -> Histogram:
    """`counts` maps seconds to how many requests took so long. Raises ValueError as `of_values` does."""
    wrong = next((value for value in counts if not (math.isfinite(value) and value >= 0)), None)
    if wrong is not None:
        raise ValueError(f"{wrong} s is not a time that a request can take")
    present = {value: count for value, count in counts.items() if count > 0}
    if not present:
        return EMPTY
    buckets: Counter[int] = Counter()
    for value, count in present.items():
        units = min(round(value * _UNITS_PER_S), _MOST)
        shift = max(units.bit_length() - _BITS, 0)
        buckets[units >> shift << shift] += count
    return Histogram(
        encoded=_encode(buckets),
        count=sum(present.values()),
        sum_s=math.fsum(value * count for value, count in present.items()),
        low_s=min(present),
        high_s=max(present),
    )


def merge(parts: Iterable[Histogram]) -> Histogram:
    """All requests of all parts. Raises ValueError for a damaged one."""
    filled = [part for part in parts if part.count]
    if len(filled) < 2:
        return filled[0] if filled else EMPTY
    total = _library()(1, _MOST, _DIGITS)
    for part in filled:
        total.add(_hdr(part.encoded))
    return Histogram(
        encoded=total.encode().decode(),
        count=sum(part.count for part in filled),
        sum_s=math.fsum(part.sum_s for part in filled),
        low_s=min(part.low_s for part in filled),
        high_s=max(part.high_s for part in filled),
    )


def quantile(histogram: Histogram, share: float) -> float | None:
    """Seconds, interpolated at share * (n - 1) as k6 does; None for an empty histogram."""
    if not histogram.count:
        return None
    place = share * (histogram.count - 1)
    below = value_at_rank(histogram, math.floor(place) + 1)
    above = value_at_rank(histogram, min(math.floor(place) + 2, histogram.count))
    return below + (above - below) * (place - math.floor(place))


def value_at_rank(histogram: Histogram, rank: int) -> float:
    """The rank-th smallest value, counting from 1. The ends are exact."""
    if rank <= 1:
        return histogram.low_s
    if rank >= histogram.count:
        return histogram.high_s
    seen = 0
    for seconds, count in histogram.points():
        seen += count
        if seen >= rank:
            return min(max(seconds, histogram.low_s), histogram.high_s)
    return histogram.high_s


def sample(histogram: Histogram, most: int = 200) -> tuple[float, ...]:
    """Sorted values, evenly by rank, for a chart of the cumulative distribution."""
    if not histogram.count:
        return ()
    points = min(histogram.count, most)
    if points == 1:
        return (histogram.low_s,)
    wanted = [round(place * (histogram.count - 1) / (points - 1)) + 1 for place in range(points)]
    values: list[float] = []
    seen = 0
    for seconds, count in histogram.points():
        seen += count
        while len(values) < points and wanted[len(values)] <= seen:
            values.append(min(max(seconds, histogram.low_s), histogram.high_s))
    return (histogram.low_s, *values[1:-1], histogram.high_s)


def check(histogram: Histogram) -> None:
    """Raises ValueError for an encoding that is damaged, or that does not hold as many values as it says."""
    held = sum(count for _, count in histogram.points())
    if held != histogram.count:
        raise ValueError(f"it says {histogram.count} values and holds {held}")
    numbers = (histogram.sum_s, histogram.low_s, histogram.high_s)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError("it holds a time that cannot be")


def _library() -> Any:  # noqa: ANN401 - it has no types
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

    return HdrHistogram


def _encode(buckets: Mapping[int, int]) -> str:
    found = _library()(1, _MOST, _DIGITS)
    for units, count in buckets.items():
        found.record_value(units, count)
    return str(found.encode().decode())


def _hdr(encoded: str) -> Any:  # noqa: ANN401 - as above
    """The library answers damage in several ways; here it is a ValueError."""
    try:
        return _library().decode(encoded)
    except Exception as error:
        raise ValueError(f"not a histogram: {error or type(error).__name__}") from error


@lru_cache(maxsize=512)
def _decoded(encoded: str) -> tuple[tuple[float, int], ...]:
    if not encoded:
        return ()
    found = _hdr(encoded)
    # Twenty times faster than the library's own iterator, which walks with an object per bucket.
    counts = found.counts
    return tuple(
        (found.get_value_from_index(place) / _UNITS_PER_S, counts[place])
        for place in range(found.counts_len)
        if counts[place]
    )
