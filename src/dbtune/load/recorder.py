"""Gathers what an engine saw, in counts: memory grows with the number of different times, not of requests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dbtune.baseline.histogram import EMPTY, Histogram, of_counts
from dbtune.baseline.load_result import LoadBlock, LoadMoment, LoadResult, LoadStream
from dbtune.load.timeline import Timeline

_US = 1e-6
_NOTHING: Counter[int] = Counter()
_FINE_BITS, _COARSE_BITS = 11, 8
"""Significant bits kept of a time: 0.1 % for percentiles of the whole, under 1 % for those of a second."""


def rounded(value_us: int, bits: int = _FINE_BITS) -> int:
    """The time with so many significant bits, as HdrHistogram keeps it."""
    shift = max(value_us.bit_length() - bits, 0)
    return value_us >> shift << shift


@dataclass(slots=True)
class Times:
    """Counted microseconds; sum and ends are exact."""

    counts: Counter[int] = field(default_factory=Counter)
    sum_us: int = 0
    low_us: int | None = None
    high_us: int = 0

    def add(self, value_us: int, count: int) -> None:
        self.counts[rounded(value_us)] += count
        self.sum_us += value_us * count
        self.low_us = value_us if self.low_us is None else min(self.low_us, value_us)
        self.high_us = max(self.high_us, value_us)

    def include(self, other: Times) -> None:
        self.counts.update(other.counts)
        self.sum_us += other.sum_us
        known = [low for low in (self.low_us, other.low_us) if low is not None]
        self.low_us = min(known, default=None)
        self.high_us = max(self.high_us, other.high_us)

    def histogram(self) -> Histogram:
        if not self.counts:
            return EMPTY
        found = of_counts({value_us * _US: count for value_us, count in self.counts.items()})
        return replace(found, sum_s=self.sum_us * _US, low_s=(self.low_us or 0) * _US, high_s=self.high_us * _US)


@dataclass(slots=True)
class Tally:
    """Requests of one stream in one block. `timed` of them were measured: fewer than `response` counts in a sample.

    `unseen` is what an exact count adds to those, or takes from them.
    """

    response: Times = field(default_factory=Times)
    service: Times = field(default_factory=Times)
    timed: int = 0
    unseen: int = 0
    failed: int = 0


@dataclass(slots=True)
class Cell:
    """One step of the time series, all streams together."""

    times: Counter[int] = field(default_factory=Counter)
    unseen: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """Requests alike: how many took so long. `service_us` is None in a closed loop, where it is the same."""

    stream: int
    offset_s: float
    response_us: int
    service_us: int | None = None
    count: int = 1


class Recorder:
    """Of one load under way. `names` are its scripts, endpoints or flows."""

    def __init__(self, names: Sequence[str], plan: Timeline) -> None:
        self.names, self.plan = tuple(names), plan
        self.cells: dict[int, Cell] = {}
        self.errors: Counter[str] = Counter()
        self._tallies: dict[tuple[int, int], Tally] = {}
        self._dropped: Counter[int] = Counter()
        self._worked_s: dict[int, float] = {}
        self.pending: Counter[int] = Counter()
        """A sample of the segment under way, in microseconds, of an engine whose log is read at its end."""

    def add(self, seen: Seen, weight: int = 1) -> None:
        """What succeeded; with `weight` each stands for so many, of which only one was timed.

        A time below zero, which only a clock that jumps can give, counts as zero.
        """
        tally = self._tally(seen.stream, seen.offset_s)
        response = max(seen.response_us, 0)
        tally.response.add(response, seen.count * weight)
        tally.timed += seen.count
        if seen.service_us is not None:
            self.serve(seen.stream, seen.offset_s, seen.service_us, seen.count * weight)
        self._cell(seen.offset_s).times[rounded(response, _COARSE_BITS)] += seen.count * weight

    def correct(self, stream: int, offset_s: float, count: int, sum_us: int) -> None:
        """What an exact count and an exact sum say beyond a sample: so many more requests, so much more time."""
        tally = self._tally(stream, offset_s)
        tally.unseen += count
        tally.response.sum_us = max(tally.response.sum_us + sum_us, 0)
        self._cell(offset_s).unseen += count

    def serve(self, stream: int, offset_s: float, service_us: int, count: int = 1) -> None:
        """What requests took themselves, of an engine that tells it apart from their waiting."""
        self._tally(stream, offset_s).service.add(max(service_us, 0), count)

    def fail(self, stream: int, offset_s: float, what: str, count: int = 1) -> None:
        """What was answered with an error, which is kept apart from the times."""
        self._tally(stream, offset_s).failed += count
        self._cell(offset_s).failed += count
        self.errors[what] += count

    def drop(self, offset_s: float, count: int) -> None:
        """What was due and never sent."""
        if count > 0:
            self._dropped[self.plan.block_at(offset_s)] += count
            self._cell(offset_s).dropped += count

    def worked(self, start_s: float, end_s: float, measured_s: float) -> None:
        """From `start_s` to `end_s` as planned the engine worked, `measured_s` by its own clock."""
        planned_s = end_s - start_s
        for place, block in enumerate(self.plan.blocks):
            common_s = min(block.end_s, end_s) - max(block.start_s, start_s)
            if common_s > 0 and planned_s > 0:
                spent_s = self._worked_s.get(place, 0.0)
                self._worked_s[place] = spent_s + common_s * measured_s / planned_s

    def learn(self, name: str) -> int:
        """The place of a stream that was not known beforehand."""
        self.names = (*self.names, name)
        return len(self.names) - 1

    def share_of_zeros(self) -> float:
        """How many of the times are too short for the engine's clock."""
        zeros = sum(tally.response.counts.get(0, 0) for tally in self._tallies.values())
        total = sum(tally.response.counts.total() for tally in self._tallies.values())
        return zeros / total if total else 0.0

    def so_far(self, elapsed_s: float) -> LoadResult:
        """Everything until now as one block, to judge whether a load that is under way shall go on."""
        blocks = [self._of([key for key in self._tallies if key[0] == number]) for number in range(len(self.names))]
        whole = self._of(list(self._tallies), self.pending)
        return LoadResult(
            name="",
            engine="",
            mode="closed",
            profile="",
            blocks=(replace(whole, duration_s=elapsed_s, dropped=self._dropped.total()),),
            streams=tuple(
                LoadStream(name, (replace(block, duration_s=elapsed_s),))
                for name, block in zip(self.names, blocks, strict=True)
            ),
        )

    def result(
        self, name: str, engine: str, mode: Literal["open", "closed"], profile: str, *, workers: int = 1
    ) -> LoadResult:
        """The finished load. Blocks that the engine never came to are left out."""
        worked = [place for place in range(len(self.plan.blocks)) if self._worked_s.get(place, 0.0) > 0]
        every = range(len(self.names))
        return LoadResult(
            name=name,
            engine=engine,
            mode=mode,
            profile=profile,
            blocks=_with_service([self._block(place, every) for place in worked]),
            streams=tuple(
                LoadStream(stream, _with_service([self._block(place, (number,)) for place in worked]))
                for number, stream in enumerate(self.names)
            ),
            series=moments(self.cells, self.plan, self._reached_s(worked)),
            errors=dict(self.errors.most_common()),
            workers=workers,
        )

    def _reached_s(self, worked: Sequence[int]) -> float:
        """Where the work ended: the end of the plan, or earlier when it was stopped."""
        if not worked:
            return 0.0
        last = worked[-1]
        return min(self.plan.blocks[last].start_s + self._worked_s[last], self.plan.blocks[last].end_s)

    def _block(self, place: int, streams: Iterable[int]) -> LoadBlock:
        block, chosen = self.plan.blocks[place], tuple(streams)
        keys = [(stream, place) for stream in chosen if (stream, place) in self._tallies]
        return replace(
            self._of(keys),
            offset_s=block.start_s,
            duration_s=self._worked_s[place],
            # Nobody can say of which script a request would have been that was never sent.
            dropped=self._dropped[place] if len(chosen) == len(self.names) else 0,
            stage=block.stage,
            clients=self.plan.clients_in(block.start_s, block.end_s),
        )

    def _of(self, keys: Sequence[tuple[int, int]], pending: Counter[int] = _NOTHING) -> LoadBlock:
        """The requests of several tallies together."""
        tallies = [self._tallies[key] for key in keys]
        response, service = Times(), Times()
        for tally in tallies:
            response.include(tally.response)
            service.include(tally.service)
        for time_us, count in pending.items():
            response.add(time_us, count)
        failed = sum(tally.failed for tally in tallies)
        answered, timed = response.counts.total(), sum(tally.timed for tally in tallies) + pending.total()
        return LoadBlock(
            offset_s=0.0,
            duration_s=0.0,
            sent=max(answered + sum(tally.unseen for tally in tallies), 0) + failed,
            failed=failed,
            timed=timed if timed < answered else None,
            response=response.histogram(),
            service=service.histogram() if service.counts else None,
        )

    def _tally(self, stream: int, offset_s: float) -> Tally:
        return self._tallies.setdefault((stream, self.plan.block_at(offset_s)), Tally())

    def _cell(self, offset_s: float) -> Cell:
        return self.cells.setdefault(self.plan.cell_at(offset_s), Cell())


def _with_service(blocks: Sequence[LoadBlock]) -> tuple[LoadBlock, ...]:
    """In a closed stage of an otherwise open load both times are the same."""
    if all(block.service is None for block in blocks):
        return tuple(blocks)
    return tuple(replace(block, service=block.service or block.response) for block in blocks)


def moments(cells: Mapping[int, Cell], plan: Timeline, end_s: float) -> tuple[LoadMoment, ...]:
    """The time series, without gaps: a second in which nothing was answered is a zero, not a hole."""
    found = []
    for place in range(math.ceil(end_s / plan.cell_s - 1e-6)):
        start_s = float(place * plan.cell_s)
        length_s = min(plan.cell_s, end_s - start_s)
        # A sliver at the end has no rate worth the name.
        if length_s < 0.5 * plan.cell_s and place > 0:
            continue
        cell = cells.get(place, Cell())
        found.append(
            LoadMoment(
                offset_s=start_s,
                duration_s=length_s,
                rate=max(cell.times.total() + cell.unseen, 0) / length_s,
                failed_rate=cell.failed / length_s,
                dropped_rate=cell.dropped / length_s,
                p50_s=quantile_s(cell.times, 0.5),
                p95_s=quantile_s(cell.times, 0.95),
                p99_s=quantile_s(cell.times, 0.99),
                clients=plan.clients_in(start_s, start_s + length_s),
            )
        )
    return tuple(found)


def quantile_s(times: Counter[int], share: float) -> float | None:
    """The value at that share of counted microseconds, in seconds; None without any."""
    wanted, seen = share * (times.total() - 1), 0
    for value_us in sorted(times):
        seen += times[value_us]
        if seen > wanted:
            return value_us * _US
    return None
