"""How long the statements of a workload take under sets of indexes: the same plan is timed once."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from dbtune.core.progress import Progress

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Name, Planned, Trial

RUNS = 3
LONG_S = 3.0
"""Runs of one statement together: after that no further one."""
CLEAR = 1.5
"""A first run that is so many times faster or slower than every other plan of its statement needs no second."""
CUT = 3.0
"""A plan that takes so many times what another did is not run to its end."""
_CUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Runnable:
    """A text without parameters, and how often it is called."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Timed:
    """Median seconds of some runs, at least so many where `is_cut`; the indexes of the plan."""

    seconds: float
    indexes: frozenset[Name]
    is_cut: bool = False


@dataclass(slots=True)
class Timings:
    """`every` are the indexes of the trial. `gone` are those that are dropped for the moment."""

    trial: Trial
    statements: Mapping[str, Runnable]
    every: frozenset[Name] = frozenset()
    _plans: dict[str, dict[frozenset[Name], Planned]] = field(default_factory=dict)
    _bare: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str], Timed] = field(default_factory=dict)
    _least: dict[str, float] = field(default_factory=dict)
    _paired: set[tuple[str, str]] = field(default_factory=set)

    def before(self, progress: Progress) -> dict[str, Timed]:
        """Those that a reader can run, as the server is."""
        found: dict[str, Timed] = {}
        for number, (query, one) in enumerate(self.statements.items()):
            progress("running the statements without the indexes", number / len(self.statements))
            planned = self.trial.planned(one.text)
            timed = None if planned is None else self._run(query, planned, (), None)
            if planned is not None and timed is not None:
                found[query] = timed
                self._bare[query] = planned.shape
        return found

    def bare(self, query: str) -> Timed:
        """Without the indexes, as it was measured last."""
        return self._known[query, self._bare[query]]

    def under(
        self, queries: Iterable[str], gone: Collection[Name] = (), *, to_the_end: bool = False
    ) -> dict[str, Timed]:
        """Each under all indexes of the trial but these.

        Unless `to_the_end`, a plan that is much slower than another of the same statement is cut.
        """
        found = {}
        for query in queries:
            planned = self._planned(query, frozenset(gone))
            if planned is not None:
                known = self._known.get((query, planned.shape))
                limit_s = None if to_the_end else CUT * self._least.get(query, 0.0) + _CUT_S
                if known is None or (known.is_cut and to_the_end and known.seconds < self.trial.timeout_s):
                    known = self._run(query, planned, gone, limit_s)
                if known is not None:
                    found[query] = known
        return found

    def paired(self, query: str, gone: Collection[Name]) -> tuple[Timed, Timed] | None:
        """Without any index and with those that are left, in turns, so that both have seen the same weather.

        None where both plans are the same.
        """
        text = self.statements[query].text
        bare, other = self._planned(query, self.every), self._planned(query, frozenset(gone))
        if bare is None or other is None or bare.shape == other.shape:
            return None
        if (query, other.shape) not in self._paired:
            rounds = [[self.trial.time(text, lacking) for lacking in (self.every, gone)] for _ in range(RUNS)]
            for planned, runs in zip((bare, other), zip(*rounds, strict=True), strict=True):
                seconds = [run.seconds for run in runs if run is not None]
                self._known[query, planned.shape] = Timed(median(seconds), planned.indexes)
            self._bare[query] = bare.shape
            self._paired.add((query, other.shape))
        return self._known[query, bare.shape], self._known[query, other.shape]

    def _planned(self, query: str, gone: frozenset[Name]) -> Planned | None:
        """Asked once; an index that a plan does not use is not missed."""
        known = self._plans.setdefault(query, {})
        for lacking, same in known.items():
            if lacking <= gone and not same.indexes & gone:
                return same
        planned = self.trial.planned(self.statements[query].text, gone)
        if planned is not None:
            known[gone] = planned
        return planned

    def _run(self, query: str, planned: Planned, gone: Collection[Name], limit_s: float | None) -> Timed | None:
        start, seconds = time.monotonic(), list[float]()
        known = [timed.seconds for (mine, _), timed in self._known.items() if mine == query]
        is_cut = False
        while len(seconds) < RUNS and not is_cut and time.monotonic() - start < LONG_S:
            if seconds and known and all(_differ(seconds[0], one) for one in known):
                break
            run = self.trial.time(self.statements[query].text, gone, limit_s=limit_s)
            if run is None:
                return None
            seconds.append(run.seconds)
            is_cut = run.timed_out
        timed = Timed(max(seconds) if is_cut else median(seconds), planned.indexes, is_cut)
        self._known[query, planned.shape] = timed
        self._least[query] = min(self._least.get(query, timed.seconds), timed.seconds)
        return timed


def _differ(one: float, other: float) -> bool:
    """So much that no further run would say otherwise."""
    return one > other * CLEAR or other > one * CLEAR
