"""What a running load tells every second, and what it may be told back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Live:
    """`offset_s` from the load's start, warm-up below zero. `rate` per second; `p95_s` of the last second or so."""

    offset_s: float
    clients: int
    rate: float | None
    p95_s: float | None


Watch = Callable[[Live], bool]
"""Called about once a second; True asks for the end of the load."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one segment, or a whole run, came to its end.

    `broken` says why the load was not what was asked for (clients that ended at an error, a log that is not whole):
    its figures are shown, its verdict is no. `stopped`: `watch` asked for the end.
    """

    broken: tuple[str, ...] = ()
    stopped: bool = False

    def and_then(self, later: Ended) -> Ended:
        """Both, one after the other, as one."""
        return Ended(self.broken + later.broken, self.stopped or later.stopped)
