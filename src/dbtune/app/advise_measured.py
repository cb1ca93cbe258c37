"""Measured advice: the indexes are built for real, and what does not help, or harms, is left out.

For a server that may be changed. Everything that was built is dropped again; statements that write are not run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dbtune.advisor.advice import Advice, Recommendation, Rejected
from dbtune.app.advise_court import Court
from dbtune.app.advise_cures import Standing
from dbtune.app.advise_narrower import narrower
from dbtune.app.advise_results import sizes_told, timings_of, told, with_times
from dbtune.app.advise_scales import Harm, Scales
from dbtune.app.advise_timings import Runnable, Timings
from dbtune.core.errors import Refused
from dbtune.core.progress import Progress
from dbtune.core.units import format_duration

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Name, Trial

LEAST_S = 30.0
"""Deciding may take as long as building and running everything, with and without, took; and always so long."""
MOST_NARROWER = 5
"""Indexes that are built in the place of others."""


def measured(
    dsn: str, advice: Advice, statements: Mapping[str, Runnable], timeout_s: float, progress: Progress
) -> Advice:
    """The advice less what did not stand the trial, with the times of its statements.

    `statements` by the text under which the advice knows them. Sizes and times to build are those of the indexes as
    they were built. Raises Refused where no statement can be run, and what the server raises; the indexes are dropped
    then too.
    """
    from dbtune.servers.postgres.trial import open_trial

    with open_trial(dsn, timeout_s) as trial, contextlib.ExitStack() as undo:
        start = time.monotonic()
        timings = Timings(trial, statements)
        readable = timings.readable()
        built = _Builder(trial, undo, timings)
        failed = built.all(advice.recommendations if readable else (), progress)
        before = timings.before(readable, progress)
        if not before:
            raise Refused(
                "there is nothing to measure: no statement of the workload can be run as it stands",
                hint="give statements with their values: --queries FILE",
            )
        scales = Scales(timings, before)
        deadline = Deadline.after(time.monotonic() - start)
        court = Court(scales, built.candidates, _Narrower(scales, built, deadline), progress, deadline)
        standing = court.judge()
        drops = court.harmless(advice.drops, standing)
        after = timings.under(before, scales.gone(standing.present), to_the_end=True)
        bare = {query: timings.bare(query) for query in before}
    skipped = len(statements) - len(before)
    notes = [f"not measured, as they write or cannot be run: {skipped} of {len(statements)} statements"] * bool(skipped)
    found, kept = timings_of(statements, bare, after), built.of(standing)
    return replace(
        advice,
        recommendations=with_times(kept, found),
        rejected=(*failed, *built.rejected(standing)),
        drops=drops,
        timings=found,
        notes=(*advice.notes, *notes, told(found), *sizes_told(kept, advice.limits.budget_bytes)),
    )


@dataclass(frozen=True, slots=True)
class Deadline:
    """When deciding has to end, by the monotonic clock."""

    start_s: float
    end_s: float

    @classmethod
    def after(cls, spent_s: float) -> Deadline:
        now = time.monotonic()
        return cls(now, now + max(spent_s, LEAST_S))

    @property
    def left_s(self) -> float:
        return self.end_s - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left_s <= 0

    @property
    def spent_share(self) -> float:
        return 1 - self.left_s / (self.end_s - self.start_s)


@dataclass(slots=True)
class _Builder:
    """What is built is dropped by `undo`. `candidates` are what could be built, as they came out."""

    trial: Trial
    undo: contextlib.ExitStack
    timings: Timings
    candidates: dict[Name, Recommendation] = field(default_factory=dict)

    def all(self, recommendations: Sequence[Recommendation], progress: Progress) -> list[Rejected]:
        """Those that could not be built."""
        failed = []
        whole = max(sum(one.build_s for one in recommendations), 1e-3)
        for number, one in enumerate(recommendations):
            count = f"{number + 1} of {len(recommendations)}"
            told = f"building {one.name}: {count}, about {format_duration(whole)} for all"
            progress(told, sum(each.build_s for each in recommendations[:number]) / whole)
            reason = self.add(one)
            if reason is not None:
                failed.append(Rejected(one.definition, one.name, reason))
        return failed

    def add(self, one: Recommendation) -> str | None:
        """Why it could not be built."""
        name = (one.definition.schema, one.name)
        self.undo.callback(self.trial.drop, *name)
        found = self.trial.build(one.definition.ddl(name=one.name), name)
        if isinstance(found, str):
            return found
        self.candidates[name] = replace(one, size_bytes=found.size_bytes, build_s=found.build_s)
        self.timings.add(name, None if found.has_parts else (one.definition.schema, one.definition.table))
        return None

    def of(self, standing: Standing) -> list[Recommendation]:
        """Those that stay, in the order in which they were advised."""
        return [one for name, one in self.candidates.items() if name in standing.present]

    def rejected(self, standing: Standing) -> list[Rejected]:
        return [
            Rejected(self.candidates[name].definition, self.candidates[name].name, reason)
            for name, reason in standing.gone.items()
        ]


@dataclass(slots=True)
class _Narrower:
    """Builds an index without the columns by which it harms a statement."""

    scales: Scales
    built: _Builder
    deadline: Deadline
    _tried: dict[str, Name | None] = field(default_factory=dict)

    def __call__(self, name: Name, harm: Harm, standing: Standing) -> Name | None:
        """None where there is no such index, or no time for it: it takes about as long to build as the other one."""
        one = self.built.candidates[name]
        runnable = self.scales.timings.statements
        users = [query for query, timed in self.scales.times(standing.present).items() if name in timed.indexes]
        others = [runnable[query].text for query in users if query != harm.query]
        definition = narrower(one.definition, runnable[harm.query].text, others)
        # On a partitioned table its parts would have to be named anew.
        if definition is None or not others or one.parts is not None:
            return None
        if definition.name not in self._tried:
            is_possible = len(self._tried) < MOST_NARROWER and one.build_s < self.deadline.left_s / 2
            instead = replace(one, definition=definition, name=definition.name)
            self._tried[definition.name] = self._add(instead) if is_possible else None
        return self._tried[definition.name]

    def _add(self, one: Recommendation) -> Name | None:
        name = (one.definition.schema, one.name)
        return name if name in self.built.candidates or self.built.add(one) is None else None
