"""What a set of indexes is worth: seconds of the whole workload, and which statements it makes slower."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbtune.app.advise_timings import NOTABLE, Timed, Timings

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Name

SUSPECT = 0.9
"""A statement that seems to take this much of the time without indexes, or more, is looked at more closely."""
NOISE_S = 0.002
"""Differences below this are not told from noise."""


@dataclass(frozen=True, slots=True)
class Harm:
    """A statement that is slower than without any index of the trial."""

    query: str
    bare: Timed
    now: Timed


@dataclass(frozen=True, slots=True)
class Scales:
    """`before` are the statements that can be run. What is `gone` is an index of the trial, or of the server's own."""

    timings: Timings
    before: Mapping[str, Timed]

    def gone(self, present: Collection[Name]) -> frozenset[Name]:
        return self.timings.every.difference(present)

    def times(self, present: Collection[Name]) -> dict[str, Timed]:
        """What was not run yet, is; much slower plans are cut."""
        return self.timings.under(self.before, self.gone(present))

    def weight(self, query: str) -> float:
        return self.timings.statements[query].weight

    def expected_s(self, present: Collection[Name]) -> float:
        """Of all calls, nothing run for it: at the best what is not known; what is harmed as if it were cured."""
        gone, whole = self.gone(present), 0.0
        for query in self.before:
            planned, bare = self.timings.plan(query, gone), self.timings.bare(query)
            if planned is not None:
                seconds = self.timings.known_s(query, planned, self.timings.least_s(query))
                whole += self.weight(query) * (seconds if bare.is_cut else min(seconds, bare.seconds))
        return whole

    def _lost_s(self, query: str, now: Timed) -> float:
        return self.weight(query) * (now.seconds - self.timings.bare(query).seconds)

    def harms(self, gone: Collection[Name]) -> Iterator[Harm]:
        """Of all statements, the one that seems to lose most first; timed in turns where it is not plain."""
        times = self.timings.under(self.before, gone)
        lost = {query: self._lost_s(query, now) for query, now in times.items()}
        for query in sorted(times, key=lambda one: (-lost[one], one)):
            bare, timed = self.timings.bare(query), times[query]
            if bare.is_cut:
                continue
            if timed.is_cut and not is_slower(timed, bare):
                timed = self.timings.under((query,), gone, to_the_end=True)[query]
            if timed.is_cut:
                if is_slower(timed, bare):
                    yield Harm(query, bare, timed)
            elif timed.seconds > bare.seconds * SUSPECT:
                pair = self.timings.paired(query, self.timings.every, gone)
                if pair is not None and is_slower(pair[1], pair[0]):
                    yield Harm(query, *pair)


def is_slower(timed: Timed, than: Timed) -> bool:
    return timed.seconds > than.seconds * NOTABLE and timed.seconds - than.seconds > NOISE_S
