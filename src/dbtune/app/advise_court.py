"""Which of the indexes that were built stand the trial: what harms, or brings nothing, is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dbtune.advisor.advice import Drop, Recommendation
from dbtune.app.advise_cures import Cures, Standing, shown
from dbtune.app.advise_scales import NOISE_S, Harm, Scales
from dbtune.app.advise_timings import CLEAR, CLOSE, NOTABLE, Timed
from dbtune.core.progress import Progress
from dbtune.core.units import format_duration

if TYPE_CHECKING:
    from dbtune.app.advise_measured import Deadline
    from dbtune.servers.postgres.trial import Name

CURES = 0.6
"""Of the time for deciding: after that a cure is not chosen anew."""


@dataclass(slots=True)
class Court:
    """`candidates` are all that was built, and grow where `narrowed` (see Cures) builds more."""

    scales: Scales
    candidates: Mapping[Name, Recommendation]
    narrowed: Callable[[Name, Harm, Standing], Name | None]
    progress: Progress
    deadline: Deadline
    _seen: set[frozenset[Name]] = field(default_factory=set)

    def judge(self) -> Standing:
        """Those that stay, and why the others do not."""
        standing = Standing(frozenset(self.candidates), {})
        cures = Cures(
            self.scales, self.narrowed, lambda: self.deadline.spent_share > CURES, lambda: self.deadline.is_over
        )
        while True:
            self._tell(standing)
            standing = cures.best(standing)
            self._seen.add(standing.present)
            while (better := self._having_more(standing) or self._having_less(standing)) is not None:
                standing = better
                self._seen.add(standing.present)
                self._tell(standing)
            if self.scales.timings.confirms(self.scales.before, self.scales.gone(standing.present)):
                return standing

    def _tell(self, standing: Standing) -> None:
        left = format_duration(max(self.deadline.left_s, 1.0))
        stand = f"{len(standing.present)} of {len(self.candidates)}"
        self.progress(f"taking away what does not help: {stand} indexes stand the trial; at most {left} more")

    def harmless(self, drops: Iterable[Drop], standing: Standing) -> tuple[Drop, ...]:
        """Those without which no statement is harmed either; what was not tried any more stays what it was."""
        kept: list[Drop] = []
        gone = self.scales.gone(standing.present)
        for drop in drops:
            if self.deadline.is_over:
                kept.append(drop)
            elif self._is_harmless(gone | {(one.schema, one.name) for one in (*kept, drop)}):
                kept.append(replace(drop, confidence="measured"))
        return tuple(kept)

    def _is_harmless(self, gone: frozenset[Name]) -> bool:
        return next(self.scales.harms(gone), None) is None

    def _having_less(self, standing: Standing) -> Standing | None:
        """Without one that no plan uses, or whose statements are as fast without it; None where there is none."""
        now = self.scales.times(standing.present)
        for name in sorted(standing.present, key=lambda one: (self.candidates[one].benefit, one)):
            users = {query: timed for query, timed in now.items() if name in timed.indexes}
            less = standing.present - {name}
            if not users:
                return standing.without(frozenset((name,)), "built, no plan uses it")
            if self.deadline.is_over or less in self._seen:
                continue
            reason = self._useless(name, standing, users)
            if reason is not None and self._is_harmless(self.scales.gone(less)):
                return standing.without(frozenset((name,)), reason)
        return None

    def _useless(self, name: Name, standing: Standing, users: Mapping[str, Timed]) -> str | None:
        """Why it is, or None: as soon as what its users lose without it cannot be made good by the others."""
        with_s = sum(self.scales.weight(query) * timed.seconds for query, timed in users.items())
        without_s, is_missed = 0.0, False
        for query in sorted(users, key=lambda one: (users[one].seconds, one)):
            other, now = self._pair(name, query, standing)
            if other is None:
                continue
            is_missed = is_missed or not _is_as_fast(other, now or users[query])
            without_s += self.scales.weight(query) * other.seconds
            if is_missed and without_s * NOTABLE >= with_s:
                return None
        return self._no_faster(name, standing, max(users, key=lambda query: (users[query].seconds, query)))

    def _pair(self, name: Name, query: str, standing: Standing) -> tuple[Timed | None, Timed | None]:
        """Without it, and with it. Plans that take nearly as long are timed in turns."""
        timings, gone = self.scales.timings, self.scales.gone(standing.present)
        now, other = (timings.under((query,), lacking).get(query) for lacking in (gone, gone | {name}))
        if now is None or other is None:
            return other, now
        if not other.is_cut and now.seconds * CLOSE <= other.seconds <= now.seconds * CLEAR:
            now, other = timings.paired(query, gone, gone | {name}) or (now, other)
        return other, now

    def _no_faster(self, name: Name, standing: Standing, query: str) -> str:
        without, now = self._pair(name, query, standing)
        if without is None or now is None:
            return "its statements were no faster with it"
        is_faster = without.seconds > now.seconds * NOTABLE
        reason = (
            f"a call gains less than {format_duration(NOISE_S / 2)} by it" if is_faster else "it made nothing faster"
        )
        times = f"{format_duration(without.seconds)} without and {format_duration(now.seconds)} with it"
        return f"{reason}, {times}: {shown(query)}"

    def _having_more(self, standing: Standing) -> Standing | None:
        """With one that had to go, and is welcome once others have gone too; None where there is none."""
        hopes = sorted(self._hopes(standing), key=lambda hope: (-hope[0], hope[1]))
        for _, name, changed in hopes:
            more = standing.present | {name}
            if self.deadline.is_over:
                break
            gone, without = self.scales.gone(more), self.scales.gone(standing.present)
            with_it, now = (self.scales.timings.under(changed, lacking) for lacking in (gone, without))
            if self._is_less(self._sum_s(with_it), self._sum_s(now)) and self._is_harmless(gone):
                return standing.having(name)
        return None

    def _hopes(self, standing: Standing) -> Iterator[tuple[float, Name, list[str]]]:
        """What may be welcome, with the seconds that it saves at the best, and the statements that would use it."""
        timings, without = self.scales.timings, self.scales.gone(standing.present)
        for name in () if self.deadline.is_over else sorted(self.candidates.keys() - standing.present):
            more = standing.present | {name}
            if more in self._seen:
                continue
            gone, changed, now_s, then_s = self.scales.gone(more), list[str](), 0.0, 0.0
            for query in self.scales.before:
                now, then = timings.plan(query, without), timings.plan(query, gone)
                if now is not None and then is not None and now.shape != then.shape:
                    changed.append(query)
                    now_s += self.scales.weight(query) * timings.known_s(query, now)
                    then_s += self.scales.weight(query) * timings.known_s(query, then)
            if self._is_less(then_s, now_s):
                yield now_s - then_s, name, changed

    def _sum_s(self, times: Mapping[str, Timed]) -> float:
        return sum(self.scales.weight(query) * timed.seconds for query, timed in times.items())

    @staticmethod
    def _is_less(one_s: float, than_s: float) -> bool:
        return one_s * NOTABLE < than_s and than_s - one_s > NOISE_S / 2


def _is_as_fast(without: Timed, now: Timed) -> bool:
    return without.seconds <= now.seconds * NOTABLE or without.seconds - now.seconds < NOISE_S / 2
