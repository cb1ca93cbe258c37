"""Measured advice: the indexes are built for real, and what does not help, or harms, is left out.

For a server that may be changed. Everything that was built is dropped again; statements that write are not run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dbtune.advisor.advice import Advice, Drop, Recommendation, Rejected
from dbtune.app.advise_results import timings_of, told, with_times
from dbtune.app.advise_timings import CLEAR, CLOSE, NOTABLE, Runnable, Timed, Timings
from dbtune.core.errors import Refused
from dbtune.core.progress import Progress
from dbtune.core.units import format_duration

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Name, Trial

SUSPECT = 0.9
"""A statement that seems to take this much of the time without indexes, or more, is looked at more closely."""
NOISE_S = 0.002
"""Differences below this are not told from noise."""
LEAST_S = 30.0
"""Deciding may take as long as building and running everything, with and without, took; and always so long."""
_HARM = "it made a statement slower"
_LONGEST = 100


def measured(
    dsn: str, advice: Advice, statements: Mapping[str, Runnable], timeout_s: float, progress: Progress
) -> Advice:
    """The advice less what did not stand the trial, with the times of its statements.

    `statements` by the text under which the advice knows them. Raises Refused where none of them can be run, and what
    the server raises; the indexes are dropped then too.
    """
    from dbtune.servers.postgres.trial import open_trial

    with open_trial(dsn, timeout_s) as trial, contextlib.ExitStack() as built:
        start = time.monotonic()
        timings = Timings(trial, statements)
        readable = timings.readable()
        candidates, failed = _built(trial, advice.recommendations if readable else (), built, progress)
        timings.every = frozenset(candidates)
        before = timings.before(readable, progress)
        if not before:
            raise Refused(
                "there is nothing to measure: no statement of the workload can be run as it stands",
                hint="give statements with their values: --queries FILE",
            )
        court = _Court(timings, before, candidates, progress, _Deadline.after(time.monotonic() - start))
        kept = court.judge()
        drops = court.harmless(advice.drops)
        after = timings.under(before, court.gone, to_the_end=True)
        bare = {query: timings.bare(query) for query in before}
    skipped = len(statements) - len(before)
    notes = [f"not measured, as they write or cannot be run: {skipped} of {len(statements)} statements"] * bool(skipped)
    found = timings_of(statements, bare, after)
    return replace(
        advice,
        recommendations=with_times(kept, found),
        rejected=(*failed, *court.rejected),
        drops=drops,
        timings=found,
        notes=(*advice.notes, *notes, told(found)),
    )


def _built(
    trial: Trial, recommendations: Sequence[Recommendation], undo: contextlib.ExitStack, progress: Progress
) -> tuple[dict[Name, Recommendation], list[Rejected]]:
    """Those that can be built; each is dropped by `undo`."""
    found: dict[Name, Recommendation] = {}
    failed = []
    whole = max(sum(one.build_s for one in recommendations), 1e-3)
    for number, one in enumerate(recommendations):
        told = f"building {one.name}: {number + 1} of {len(recommendations)}, about {format_duration(whole)} for all"
        progress(told, sum(each.build_s for each in recommendations[:number]) / whole)
        name = (one.definition.schema, one.name)
        undo.callback(trial.drop, *name)
        reason = trial.build(one.definition.ddl(name=one.name), name)
        if reason is None:
            found[name] = one
        else:
            failed.append(Rejected(one.definition, one.name, reason))
    return found, failed


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When deciding has to end, by the monotonic clock."""

    end_s: float

    @classmethod
    def after(cls, spent_s: float) -> _Deadline:
        return cls(time.monotonic() + max(spent_s, LEAST_S))

    @property
    def left_s(self) -> float:
        return self.end_s - time.monotonic()


@dataclass(slots=True)
class _Court:
    """Takes away one after the other what does not stand the trial, and gives back what would stand it then.

    `gone` are the indexes taken away so far, with the reasons.
    """

    timings: Timings
    before: Mapping[str, Timed]
    candidates: Mapping[Name, Recommendation]
    progress: Progress
    deadline: _Deadline
    gone: dict[Name, str] = field(default_factory=dict)
    _given_back: set[Name] = field(default_factory=set)

    def judge(self) -> list[Recommendation]:
        """Those that stay, in the order in which they were advised."""
        self._tell()
        while self._finds_harmful() or self._finds_useless() or self._gives_back():
            self._tell()
        return [one for name, one in self.candidates.items() if name not in self.gone]

    def _tell(self) -> None:
        left = format_duration(max(self.deadline.left_s, 1.0))
        standing = f"{len(self._left())} of {len(self.candidates)}"
        self.progress(f"taking away what does not help: {standing} indexes stand the trial; at most {left} more")

    def _is_late(self) -> bool:
        return self.deadline.left_s <= 0

    @property
    def rejected(self) -> list[Rejected]:
        return [
            Rejected(self.candidates[name].definition, self.candidates[name].name, reason)
            for name, reason in self.gone.items()
        ]

    def harmless(self, drops: Iterable[Drop]) -> tuple[Drop, ...]:
        """Those without which no statement is harmed either."""
        kept: list[Drop] = []
        for drop in drops:
            gone = {*self.gone, *((one.schema, one.name) for one in kept), (drop.schema, drop.name)}
            if self._is_late() or next(self._harmed(gone), None) is None:
                kept.append(drop)
        return tuple(kept)

    def _finds_harmful(self) -> bool:
        """Takes away what harms the statement that lost most. Whether there was one."""
        harmed = list(self._harmed(self.gone))
        if not harmed:
            return False
        query, was, now = max(
            harmed, key=lambda one: (self._weight(one[0]) * (one[2].seconds - one[1].seconds), one[0])
        )
        times = f"{format_duration(was.seconds)} before and {format_duration(now.seconds)} with it"
        reason = f"{_HARM}, {times}: {_shown(query)}"
        self.gone |= dict.fromkeys(sorted(self._remedy(query, now)), reason)
        return True

    def _remedy(self, query: str, now: Timed) -> frozenset[Name]:
        """Of the plan's indexes the one that cures it and costs the others least; all of them if none does."""
        mine = now.indexes & self._left()
        best = (self._score(mine), mine) if not self._is_late() else None
        for name in sorted(mine) if best is not None and len(mine) > 1 else ():
            score = self._score(frozenset((name,)))
            if best is None or score < best[0]:
                best = (score, frozenset((name,)))
        return mine if best is None else best[1]

    def _score(self, taken: Collection[Name]) -> tuple[int, float]:
        """How many statements are harmed without these too, and how long all take."""
        times = self.timings.under(self.before, {*self.gone, *taken})
        harmed = sum(self._is_slower(timed, self.timings.bare(query)) for query, timed in times.items())
        return harmed, self._total(times)

    def _finds_useless(self) -> bool:
        """Takes away what no plan uses, or whose statements are as fast without it. Whether there was one."""
        now = self.timings.under(self.before, self.gone)
        for name in sorted(self._left(), key=lambda one: (self.candidates[one].benefit, one)):
            users = [query for query, timed in now.items() if name in timed.indexes]
            if not users:
                self.gone[name] = "built, no plan uses it"
                return True
            if self._is_late():
                continue
            if all(self._is_as_fast(*self._pair(name, query)) for query in users):
                self.gone[name] = self._no_faster(name, max(users, key=lambda query: (now[query].seconds, query)))
                return True
        return False

    def _pair(self, name: Name, query: str) -> tuple[Timed | None, Timed | None]:
        """Without it, and with it. Plans that take nearly as long are timed in turns."""
        without = {*self.gone, name}
        now, other = (self.timings.under((query,), gone).get(query) for gone in (self.gone, without))
        if now is None or other is None:
            return other, now
        if not other.is_cut and now.seconds * CLOSE <= other.seconds <= now.seconds * CLEAR:
            now, other = self.timings.paired(query, self.gone, without) or (now, other)
        return other, now

    def _no_faster(self, name: Name, query: str) -> str:
        without, now = self._pair(name, query)
        if without is None or now is None:
            return "its statements were no faster with it"
        is_faster = without.seconds > now.seconds * NOTABLE
        reason = (
            f"a call gains less than {format_duration(NOISE_S / 2)} by it" if is_faster else "it made nothing faster"
        )
        times = f"{format_duration(without.seconds)} without and {format_duration(now.seconds)} with it"
        return f"{reason}, {times}: {_shown(query)}"

    def _gives_back(self) -> bool:
        """One that had to go for a statement which another one harmed: with that gone too it may be welcome."""
        for name in [] if self._is_late() else list(self.gone):
            if name in self._given_back or not self.gone[name].startswith(_HARM):
                continue
            rest = {other: reason for other, reason in self.gone.items() if other != name}
            now, with_it = (self.timings.under(self.before, gone) for gone in (self.gone, rest))
            is_welcome = self._total(with_it) * NOTABLE < self._total(now)
            if is_welcome and next(self._harmed(rest), None) is None:
                self.gone = rest
                self._given_back.add(name)
                return True
        return False

    def _harmed(self, gone: Collection[Name]) -> Iterator[tuple[str, Timed, Timed]]:
        """Statements that are slower than without any index, timed in turns with that where it is not plain."""
        for query, found in self.timings.under(self.before, gone).items():
            bare, timed = self.timings.bare(query), found
            if bare.is_cut:
                continue
            if timed.is_cut and not self._is_slower(timed, bare):
                timed = self.timings.under((query,), gone, to_the_end=True)[query]
            if timed.is_cut:
                if self._is_slower(timed, bare):
                    yield query, bare, timed
            elif timed.seconds > bare.seconds * SUSPECT:
                pair = self.timings.paired(query, self.timings.every, gone)
                if pair is not None and self._is_slower(pair[1], pair[0]):
                    yield query, *pair

    def _left(self) -> frozenset[Name]:
        return frozenset(self.candidates.keys() - self.gone.keys())

    def _total(self, times: Mapping[str, Timed]) -> float:
        return sum(self._weight(query) * timed.seconds for query, timed in times.items())

    def _weight(self, query: str) -> float:
        return self.timings.statements[query].weight

    @staticmethod
    def _is_slower(timed: Timed, than: Timed) -> bool:
        return timed.seconds > than.seconds * NOTABLE and timed.seconds - than.seconds > NOISE_S

    @staticmethod
    def _is_as_fast(without: Timed | None, now: Timed | None) -> bool:
        if without is None or now is None:
            return without is None
        return without.seconds <= now.seconds * NOTABLE or without.seconds - now.seconds < NOISE_S / 2


def _shown(query: str) -> str:
    text = " ".join(query.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
