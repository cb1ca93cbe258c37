"""How far a warm-up was at the end of each batch: what another attempt goes on behind is counted by this."""

from __future__ import annotations

from array import array
from bisect import bisect_right


class Tally:
    """In few bytes, as under a low rate each row is a batch. All numbers count from the attempt's beginning."""

    def __init__(self) -> None:
        self._rows, self._keys, self._bytes = array("q"), array("q"), array("q")
        self._skipped, self._expired, self._duplicates = array("q"), array("q"), array("q")
        self._answered, self._kept = array("q"), array("q")

    def add(self, rows: int, keys: int, size_bytes: int, skipped: int, expired: int, duplicates: int) -> None:  # noqa: PLR0917
        """A batch is sent: `rows` is how many of the query's lie before its end, `keys` how many were tried."""
        columns = (self._rows, self._keys, self._bytes, self._skipped, self._expired, self._duplicates)
        for column, value in zip(columns, (rows, keys, size_bytes, skipped, expired, duplicates), strict=True):
            column.append(value)

    def answer(self, keys: int, kept: int) -> None:
        """So many of the tried `keys` were answered, and `kept` of these left as they are."""
        self._answered.append(keys)
        self._kept.append(kept)

    def at(self, rows: int) -> tuple[int, int, int, int, int, int]:
        """Keys, bytes, skipped, expired, duplicates and kept of the batches that lie within the first `rows`.

        A batch whose answers were lost has none that were kept.
        """
        place = bisect_right(self._rows, rows) - 1
        if place < 0:
            return 0, 0, 0, 0, 0, 0
        duplicates = self._duplicates[place]
        answer = bisect_right(self._answered, self._keys[place]) - 1
        kept = self._kept[answer] if answer >= 0 else 0
        keys = self._keys[place] - duplicates - kept
        return keys, self._bytes[place], self._skipped[place], self._expired[place], duplicates, kept
