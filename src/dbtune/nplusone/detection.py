"""What was detected, with everything that a person needs to believe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dbtune.nplusone.edges import Edge
from dbtune.nplusone.traffic import Statement

Kind = Literal["select", "write", "tree"]
Level = Literal["suspected", "likely", "confirmed"]

SUSPECTED = 60
LIKELY = 80


@dataclass(frozen=True, slots=True)
class Score:
    """Points, 100 in all. `covariation` None: the load was too steady, or there was no window, to look at it."""

    shape: float
    edge: float
    ratio: float
    covariation: float | None
    cheap: float

    @property
    def total(self) -> float:
        return round(self.shape + self.edge + self.ratio + (self.covariation or 0.0) + self.cheap, 1)


@dataclass(frozen=True, slots=True)
class Detection:
    """`calls` and `exec_ms` are the child's that this parent causes; `ratio` is calls per row of the parent.

    `saved_s`: seconds of the window that the rewrite saves, at least and at most.
    """

    kind: Kind
    level: Level
    score: Score
    parent: Statement | None
    child: Statement
    edge: Edge | None
    calls_per_parent: float
    ratio: float | None
    calls: float
    share_of_calls: float
    share_of_time: float
    saved_s: tuple[float, float]
    reasons: tuple[str, ...] = ()


def level_of(score: Score, *, capped: bool) -> Level | None:
    """Suspected from 60 points, likely from 80 unless something caps it. Confirmed takes a sample of the log."""
    if score.total < SUSPECTED:
        return None
    return "likely" if score.total >= LIKELY and not capped else "suspected"
