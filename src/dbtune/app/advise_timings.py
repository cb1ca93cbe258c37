"""How long the statements of a workload take under sets of indexes: the same plan is timed once."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from dbtune.core.progress import Progress

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Name, Planned, Trial

RUNS = 3
"""Of one statement, where the first does not settle it."""
QUICK_S = 0.3
"""Runs of one plan together: after that no further one, unless two plans have to be told apart."""
CLEAR = 1.5
"""A first run that is so many times faster or slower than every other plan of its statement needs no second."""
CLOSE = 0.85
"""A plan that takes at least this share of another's time is timed in turns with it."""
APART = 1.25
"""Times so far apart need one turn that says so too, not two."""
NOTABLE = 1.05
"""What takes this much longer is slower: half of the tenth that is promised, as times are off by as much."""
MOST_TURNS = 7
"""Of two plans whose turns disagree about that."""
LONGER = 4.0
"""A plan that was cut may take so many times as long, where much depends on how slow it is."""
CUT = 3.0
"""A plan that takes so many times what another did is not run to its end."""
_CUT_S = 1.0
BARE_CUT_S = 3.0
"""More of what is slow without any index, so that the answer can say by how much at least."""
PATIENCE_S = 10.0
"""For a first run with the indexes: what takes longer is looked at without them before it is waited for."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A text without parameters, and how often it is called."""

    text: str
    weight: float
    queryid: str | None = None
    place: str | None = None


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
    _tables: dict[Name, Name | None] = field(default_factory=dict)
    _plans: dict[str, dict[frozenset[Name], Planned]] = field(default_factory=dict)
    _bare: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str], Timed] = field(default_factory=dict)
    _least: dict[str, float] = field(default_factory=dict)
    _paired: set[tuple[str, str, str]] = field(default_factory=set)

    def readable(self) -> list[str]:
        """Those that a reader can plan and that change nothing."""
        found = []
        for query, one in self.statements.items():
            planned = self.trial.planned(one.text)
            if planned is not None and not planned.changes:
                found.append(query)
        return found

    def before(self, queries: Sequence[str], progress: Progress) -> dict[str, Timed]:
        """Those that a reader can run, without any index of the trial; each has been run with all of them as well.

        What is slow without them is cut, once it is certain that it is slow.
        """
        for number, query in enumerate(queries):
            progress("running the statements with the indexes", number / len(queries))
            planned = self._planned(query, frozenset())
            if planned is not None:
                self._run(query, planned, (), PATIENCE_S)
        found: dict[str, Timed] = {}
        for number, query in enumerate(queries):
            progress("running the statements without the indexes", number / len(queries))
            planned = self._planned(query, self.every)
            if planned is not None and query in self._least:
                self._bare[query] = planned.shape
                known = self._known.get((query, planned.shape))
                if known is None:
                    known = self._run(query, planned, self.every, self._bare_limit_s(query))
                if known is not None:
                    found[query] = known
        return found

    def _bare_limit_s(self, query: str) -> float | None:
        """None, to the end, where not even the indexes have ended it."""
        least = self._least[query]
        return None if least >= PATIENCE_S else CUT * least + BARE_CUT_S

    def add(self, name: Name, table: Name | None) -> None:
        """One more index of the trial; its table as plans name it, None where they name its parts.

        What was asked before it was there was asked without it.
        """
        self.every |= {name}
        self._tables[name] = table
        self._plans = {
            query: {gone | {name}: planned for gone, planned in known.items()} for query, known in self._plans.items()
        }

    def plan(self, query: str, gone: frozenset[Name]) -> Planned | None:
        """How it is run under all indexes of the trial but these."""
        return self._planned(query, gone)

    def known_s(self, query: str, planned: Planned, default: float = 0.0) -> float:
        """Seconds of that plan, where it was timed."""
        known = self._known.get((query, planned.shape))
        return default if known is None else known.seconds

    def least_s(self, query: str) -> float:
        """Of any of its plans."""
        return self._least.get(query, 0.0)

    def confirms(self, queries: Iterable[str], gone: frozenset[Name]) -> bool:
        """Asks for every plan without just these, and keeps it. Whether all are what they were taken for."""
        is_same = True
        for query in queries:
            planned, taken = self.trial.planned(self.statements[query].text, gone), self._planned(query, gone)
            if planned is not None and taken is not None:
                is_same = is_same and planned.shape == taken.shape
                self._plans[query][gone] = planned
        return is_same

    def longer(self, query: str, gone: frozenset[Name]) -> bool:
        """Waits longer for a plan that was cut. Whether there was anything left to wait for."""
        planned = self._planned(query, gone)
        known = None if planned is None else self._known.get((query, planned.shape))
        if planned is None or known is None or not known.is_cut or known.seconds >= self.trial.timeout_s:
            return False
        return self._run(query, planned, gone, known.seconds * LONGER) is not None

    def bare(self, query: str) -> Timed:
        """Without the indexes, as it was measured last; at least so many seconds where it was cut."""
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

    def paired(self, query: str, one: Collection[Name], other: Collection[Name]) -> tuple[Timed, Timed] | None:
        """Without these and without those indexes, in turns, so that both have seen the same weather.

        Two turns that agree whether the other is slower are enough. None where both plans are the same, or one takes
        too long to be run again.
        """
        plans = [self._planned(query, frozenset(gone)) for gone in (one, other)]
        if plans[0] is None or plans[1] is None or plans[0].shape == plans[1].shape:
            return None
        first, second = plans[0], plans[1]
        if (query, first.shape, second.shape) not in self._paired:
            text, turns = self.statements[query].text, self._first_turn(query, first, second)
            while len(turns) < MOST_TURNS and not _agree(turns):
                runs = [self.trial.time(text, gone) for gone in (one, other)]
                if runs[0] is None or runs[1] is None:
                    return None
                turns.append((runs[0].seconds, runs[1].seconds))
            for planned, seconds in zip((first, second), zip(*turns, strict=True), strict=True):
                self._known[query, planned.shape] = Timed(median(seconds), planned.indexes)
            self._paired.add((query, first.shape, second.shape))
        return self._known[query, first.shape], self._known[query, second.shape]

    def _first_turn(self, query: str, first: Planned, second: Planned) -> list[tuple[float, float]]:
        """What is known already counts as one where it is plain."""
        was, now = (self._known.get((query, planned.shape)) for planned in (first, second))
        if was is None or now is None or was.is_cut or now.is_cut or now.seconds < was.seconds * APART:
            return []
        return [(was.seconds, now.seconds)]

    def _planned(self, query: str, gone: frozenset[Name]) -> Planned | None:
        """Asked once; an index that a plan does not use is not missed, and one of another table changes nothing."""
        known = self._plans.setdefault(query, {})
        if gone in known:
            return known[gone]
        for lacking, same in known.items():
            if not same.indexes & gone and all(self._is_elsewhere(name, same) for name in lacking - gone):
                return same
        planned = self.trial.planned(self.statements[query].text, gone)
        if planned is not None:
            known[gone] = planned
        return planned

    def _is_elsewhere(self, name: Name, planned: Planned) -> bool:
        """On a table that the plan does not read."""
        table = self._tables.get(name)
        return table is not None and table not in planned.tables

    def _run(self, query: str, planned: Planned, gone: Collection[Name], limit_s: float | None) -> Timed | None:
        start, seconds = time.monotonic(), list[float]()
        known = [timed.seconds for (mine, _), timed in self._known.items() if mine == query]
        is_cut = False
        while len(seconds) < RUNS and not is_cut and time.monotonic() - start < QUICK_S:
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


def _agree(turns: Sequence[tuple[float, float]]) -> bool:
    return len(turns) > 1 and len({other > one * NOTABLE for one, other in turns}) == 1
