"""Measured advice: the indexes are built for real, and what does not help, or harms, is left out.

For a server that may be changed. Everything that was built is dropped again; statements that write are not run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from dbtune.advisor.advice import Advice, Recommendation, Rejected
from dbtune.core.errors import Refused
from dbtune.core.progress import Progress
from dbtune.core.units import format_duration

if TYPE_CHECKING:
    from dbtune.servers.postgres.trial import Trial

SLOWER = 1.10
"""A statement that takes this much longer than before is harmed."""
FASTER = 0.95
"""An index none of whose statements takes less than this share of its time before has not helped."""
_NOISE_S = 0.002
"""Differences below this are not told from noise."""
RUNS = 3


@dataclass(frozen=True, slots=True)
class _Timed:
    """Median seconds of some runs, and the indexes that the plan uses."""

    seconds: float
    indexes: frozenset[str]


_Times = dict[str, _Timed]


def measured(dsn: str, advice: Advice, texts: Mapping[str, str], timeout_s: float, progress: Progress) -> Advice:
    """The advice less what did not stand the trial, with the times of its statements.

    `texts` are statements without parameters, by the text under which the advice knows them. Raises Refused where none
    of them can be run, and what the server raises; the indexes are dropped then too.
    """
    from dbtune.servers.postgres.trial import open_trial

    with open_trial(dsn, timeout_s) as trial, contextlib.ExitStack() as built:
        before = _times(trial, texts, progress, "without the indexes")
        if not before:
            raise Refused(
                "there is nothing to measure: no statement of the workload can be run as it stands",
                hint="give statements with their values: --queries FILE",
            )
        for number, one in enumerate(advice.recommendations):
            progress(f"building {one.name}", number / len(advice.recommendations))
            built.callback(trial.drop, one.definition.schema, one.name)
            trial.build(one.definition.ddl(name=one.name))
        kept, rejected, after = _tried(trial, advice.recommendations, texts, before, progress)
    skipped = len(texts) - len(before)
    notes = [f"{skipped} statements write or cannot be run, and were not measured"] if skipped else []
    return replace(
        advice,
        recommendations=tuple(_with_times(one, before, after) for one in kept),
        rejected=rejected,
        notes=(*advice.notes, *notes),
    )


def _tried(
    trial: Trial,
    recommendations: Iterable[Recommendation],
    texts: Mapping[str, str],
    before: _Times,
    progress: Progress,
) -> tuple[list[Recommendation], tuple[Rejected, ...], _Times]:
    """Takes away one after the other what does not stand the trial, until the rest does."""
    kept, rejected = list(recommendations), list[Rejected]()
    runnable = {query: texts[query] for query in before}
    after = _times(trial, runnable, progress, "with the indexes")
    while (fault := next(_faults(kept, before, after), None)) is not None:
        one, reason = fault
        trial.drop(one.definition.schema, one.name)
        kept.remove(one)
        rejected.append(Rejected(one.definition, one.name, reason))
        touched = {query: runnable[query] for query, timed in after.items() if one.name in timed.indexes}
        after |= _times(trial, touched, progress, f"without {one.name}")
    return kept, tuple(rejected), after


def _times(trial: Trial, texts: Mapping[str, str], progress: Progress, when: str) -> _Times:
    """Those that a reader can run."""
    found = {}
    for number, (query, text) in enumerate(texts.items()):
        progress(f"running the statements {when}", number / len(texts))
        runs = trial.time(text, RUNS)
        if runs:
            found[query] = _Timed(median(run.seconds for run in runs), trial.indexes(text))
    return found


def _faults(kept: Iterable[Recommendation], before: _Times, after: _Times) -> Iterator[tuple[Recommendation, str]]:
    """The worst first: an index that slows a statement, one that no plan uses, one whose statements gained nothing.

    Of several indexes in a plan that became slower, the one that promised least goes first.
    """
    least_first = sorted(kept, key=lambda one: (one.benefit, one.name))
    harmed = {
        query: timed
        for query, timed in after.items()
        if timed.seconds > before[query].seconds * SLOWER and timed.seconds - before[query].seconds > _NOISE_S
    }
    for one in least_first:
        for query, timed in harmed.items():
            if one.name in timed.indexes:
                was, now = format_duration(before[query].seconds), format_duration(timed.seconds)
                yield one, f"it made a statement slower, {was} before and {now} with it: {query[:80]}"
    for one in least_first:
        users = [query for query, timed in after.items() if one.name in timed.indexes]
        if not users:
            yield one, "built, no plan uses it"
        elif all(after[query].seconds > before[query].seconds * FASTER for query in users):
            yield one, "its statements were no faster with it"


def _with_times(one: Recommendation, before: _Times, after: _Times) -> Recommendation:
    served = tuple(
        replace(each, before_s=before[each.query].seconds, after_s=after[each.query].seconds)
        if each.query in after
        else each
        for each in one.queries
    )
    return replace(
        one, queries=served, confidence="measured" if any(each.after_s for each in served) else one.confidence
    )
