"""Which indexes have to go so that no statement is slower, and the whole workload loses least by it.

A statement keeps its plan as long as the indexes of that plan stay. So whatever cures it lacks one of them, and what
lacks more is reached from there, over the plan that comes next: all cures are found by plans, and the most promising
set is measured first. What one cure costs other statements is then in its own sum.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbtune.app.advise_scales import Harm, Scales
from dbtune.core.units import format_duration

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Name

MOST_SETS = 500
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """Indexes that are there, and why others are not."""

    present: frozenset[Name]
    gone: Mapping[Name, str]

    def without(self, names: frozenset[Name], reason: str) -> Standing:
        return Standing(self.present - names, {**self.gone, **dict.fromkeys(sorted(names), reason)})

    def having(self, name: Name) -> Standing:
        return Standing(self.present | {name}, {one: reason for one, reason in self.gone.items() if one != name})


@dataclass(frozen=True, slots=True)
class Cures:
    """`narrowed` builds what takes the place of an index without harming a statement, where there is such a thing.

    Once `is_hurried` a choice is not looked at again; once `is_late` all of a plan's indexes go. Then too it goes on
    until nothing is harmed.
    """

    scales: Scales
    narrowed: Callable[[Name, Harm, Standing], Name | None]
    is_hurried: Callable[[], bool]
    is_late: Callable[[], bool]

    def best(self, start: Standing) -> Standing:
        """Of the sets that harm nothing, the one under which the statements take the least time."""
        waiting, seen = [(self.scales.expected_s(start.present), 0, start)], {start.present}
        while True:
            _, number, standing = heapq.heappop(waiting)
            self.scales.times(standing.present)
            found_s = self.scales.expected_s(standing.present)
            if waiting and found_s > waiting[0][0]:
                heapq.heappush(waiting, (found_s, number, standing))
                continue
            harm = self._harm(standing.present)
            if harm is None:
                if waiting and not self._is_over(seen) and self._waits_longer(standing.present):
                    heapq.heappush(waiting, (self.scales.expected_s(standing.present), number, standing))
                    continue
                return standing
            if self._is_over(seen):
                waiting.clear()
            cures = [one for one in self._cured(standing, harm) if one.present not in seen]
            # Whatever else there is has been looked at, and led nowhere better.
            cures = cures or ([] if waiting else [self._freed(standing, harm)])
            for one in cures:
                seen.add(one.present)
                heapq.heappush(waiting, (self.scales.expected_s(one.present), len(seen), one))

    def _is_over(self, seen: set[frozenset[Name]]) -> bool:
        return len(seen) > MOST_SETS or self.is_hurried()

    def _harm(self, present: frozenset[Name]) -> Harm | None:
        """Of those for which these indexes are to blame."""
        harms = self.scales.harms(self.scales.gone(present))
        return next((harm for harm in harms if harm.now.indexes & present), None)

    def _cured(self, standing: Standing, harm: Harm) -> Iterator[Standing]:
        """Without each of the plan's indexes, and with a narrower one instead."""
        if self.is_late():
            yield self._freed(standing, harm)
            return
        for name in sorted(harm.now.indexes & standing.present):
            without = standing.without(frozenset((name,)), _told(harm))
            yield without
            instead = self.narrowed(name, harm, standing)
            if instead is not None and instead not in standing.present:
                reason = f"{_told(harm)}; instead of it {instead[1]}, which lacks a column"
                yield standing.without(frozenset((name,)), reason).having(instead)

    @staticmethod
    def _freed(standing: Standing, harm: Harm) -> Standing:
        return standing.without(harm.now.indexes & standing.present, _told(harm))

    def _waits_longer(self, present: frozenset[Name]) -> bool:
        """For what was cut: another set may be better than this one really is."""
        gone = self.scales.gone(present)
        return any(self.scales.timings.longer(query, gone) for query in self.scales.before)


def _told(harm: Harm) -> str:
    times = f"{format_duration(harm.bare.seconds)} before and {format_duration(harm.now.seconds)} with it"
    return f"it made a statement slower, {times}: {shown(harm.query)}"


def shown(query: str) -> str:
    text = " ".join(query.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
