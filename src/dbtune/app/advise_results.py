"""What a measurement found, put into the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dbtune.advisor.advice import Advice, Recommendation, Timing
from dbtune.advisor.recommend import Question, value
from dbtune.app.advise_timings import Runnable, Timed
from dbtune.core.units import format_duration, format_size


def revalued(advice: Advice, question: Question) -> Advice:
    """Costs, worths and whom an index serves, of what is left of the advice once some of it is rejected.

    What was measured of the indexes themselves stays.
    """
    if not advice.rejected:
        return advice
    found = value(question, advice.recommendations, advice.drops)
    built = {one.name: one for one in advice.recommendations}
    recommendations = [
        replace(one, size_bytes=built[one.name].size_bytes, build_s=built[one.name].build_s)
        for one in found.recommendations
    ]
    return replace(
        advice,
        recommendations=with_times(recommendations, advice.timings),
        cost_before=found.cost_before,
        cost_after=found.cost_after,
    )


def told(timings: Sequence[Timing]) -> str:
    """Seconds of all calls, before and after."""
    was = sum(one.calls * one.before_s for one in timings)
    now = sum(one.calls * one.after_s for one in timings)
    least = "at least " if any(one.is_cut for one in timings) else ""
    seconds = f"{least}{format_duration(was)} for the statements as they are, {format_duration(now)} with the indexes"
    return f"measured: {seconds}"


def sizes_told(kept: Sequence[Recommendation], budget_bytes: int | None) -> Iterator[str]:
    """That sizes are no estimates, and whether they keep to the budget, which the estimates did."""
    if kept:
        yield "sizes and times to build are those of the indexes as they were built here"
    whole = sum(one.size_bytes for one in kept)
    if budget_bytes is not None and whole > budget_bytes:
        yield f"built, they take {format_size(whole)}, more than the budget of {format_size(budget_bytes)}"


def timings_of(
    statements: Mapping[str, Runnable], before: Mapping[str, Timed], after: Mapping[str, Timed]
) -> tuple[Timing, ...]:
    """Of every statement that was measured, the one that gains most first."""
    found = [
        Timing(query, one.weight, was.seconds, after[query].seconds, was.is_cut, one.queryid, one.place)
        for query, was in before.items()
        if query in after and (one := statements[query])
    ]
    return tuple(sorted(found, key=lambda one: (one.calls * (one.after_s - one.before_s), one.query)))


def with_times(recommendations: Iterable[Recommendation], timings: Iterable[Timing]) -> tuple[Recommendation, ...]:
    """The same, with what was measured of the statements that they serve."""
    known = {one.query: one for one in timings}
    return tuple(_with_times(one, known) for one in recommendations)


def _with_times(one: Recommendation, known: Mapping[str, Timing]) -> Recommendation:
    if not any(each.query in known for each in one.queries):
        return one
    served = tuple(
        replace(each, before_s=timing.before_s, after_s=timing.after_s, is_cut=timing.is_cut)
        if (timing := known.get(each.query)) is not None
        else each
        for each in one.queries
    )
    return replace(one, queries=served, confidence="measured")
