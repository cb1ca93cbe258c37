"""What a load brings into a capture: latencies of each block, what failed and what was never sent.

The replicate is the block, a stretch of equal length within a stage; calls within one are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dbtune.baseline.histogram import EMPTY, Histogram, merge

Loop = Literal["open", "closed", "unknown"]
"""Open: requests come due on a schedule; closed: each client waits for its answer; unknown: a file does not say."""


@dataclass(frozen=True, slots=True)
class LoadBlock:
    """One stretch of a load. `offset_s` counts from the load's start.

    `response` is the time that a user waits, of the requests that succeeded: in an open loop from the moment at which
    the request was due, in a closed loop from sending it. `service` is counted from sending it; None where that is
    the same. `sent` counts requests answered or failed, `failed` those of them that failed, `dropped` those that
    were due and never sent because nobody was free. `timed`: of how many the times are known, where that is a sample;
    `response` then counts each of them as often as it stands for another.
    """

    offset_s: float
    duration_s: float
    sent: int
    failed: int = 0
    dropped: int = 0
    response: Histogram = EMPTY
    service: Histogram | None = None
    stage: int = 0
    clients: float | None = None
    timed: int | None = None


@dataclass(frozen=True, slots=True)
class LoadMoment:
    """One second (or a few) of the time series. Rates are per second; percentiles in seconds, None without samples."""

    offset_s: float
    duration_s: float
    rate: float
    failed_rate: float = 0.0
    dropped_rate: float = 0.0
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    clients: float | None = None


@dataclass(frozen=True, slots=True)
class LoadStream:
    """One script's or one endpoint's part of a load: the same blocks, of its requests alone."""

    name: str
    blocks: tuple[LoadBlock, ...]

    @property
    def response(self) -> Histogram:
        return merge(block.response for block in self.blocks)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A finished load. `engine` and `mode` belong to the fingerprint: there is no verdict across them.

    `engine` says what sent it and how: `pgbench prepared`, `k6`, `httpx`, `threads`. `profile` describes its stages
    in words, `30s 8 clients`: loads of different profiles are not comparable. Warm-up is not among `blocks`.
    `errors` counts failures by what the engine calls them. `imported`: read from another tool's file.
    """

    name: str
    engine: str
    mode: Loop
    profile: str
    blocks: tuple[LoadBlock, ...]
    streams: tuple[LoadStream, ...] = ()
    series: tuple[LoadMoment, ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    workers: int = 1
    imported: str | None = None

    @property
    def loop(self) -> str:
        """In words."""
        return "loop not known" if self.mode == "unknown" else f"{self.mode} loop"

    @property
    def response(self) -> Histogram:
        return merge(block.response for block in self.blocks)

    @property
    def service(self) -> Histogram | None:
        parts = [block.service for block in self.blocks if block.service is not None]
        return merge(parts) if parts else None

    @property
    def duration_s(self) -> float:
        return sum(block.duration_s for block in self.blocks)

    @property
    def sent(self) -> int:
        return sum(block.sent for block in self.blocks)

    @property
    def failed(self) -> int:
        return sum(block.failed for block in self.blocks)

    @property
    def dropped(self) -> int:
        return sum(block.dropped for block in self.blocks)

    @property
    def timed(self) -> int | None:
        return timed(self.blocks)


def timed(blocks: Sequence[LoadBlock]) -> int | None:
    """Of how many requests the times are known; None where that is all that succeeded."""
    if all(block.timed is None for block in blocks):
        return None
    return sum(block.response.count if block.timed is None else block.timed for block in blocks)
