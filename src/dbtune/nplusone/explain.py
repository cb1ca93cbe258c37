"""Whose rows explain the calls of a child: one parent's, several parents' together, or no list at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbtune.nplusone.candidates import Candidate, Link, Member, Members
from dbtune.nplusone.edges import Schema
from dbtune.nplusone.fit import Fit, Regressor, fit

STRONG = 0.9
"""Strength from which one parent alone explains the child. Unrelated counts reach it over six windows in one of a
hundred tries, edges and ratio aside."""
SHARED = 0.95
"""With two causes to choose from there are many pairs, so one that is right by chance has to be rarer."""
FIRM = 0.97
"""With three causes even more so."""
LEAST_WINDOWS_OF_THREE = 8
MOST_COMPANIONS = 30
WHOLE = 5
"""Ratios of 1 to 5 look-ups per row are plausible: the same thing read in several places of one page."""
EXACT = 0.03
NEAR = 0.10


@dataclass(frozen=True, slots=True)
class Cause:
    """Rows that may cause calls. `less_twins`: without the calls of the parent that a fixed twin follows."""

    link: Link
    regressor: Regressor
    less_twins: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """`slope`: look-ups per row of the cause. `calls`: how many of the child's calls it explains."""

    cause: Cause
    slope: float
    strength: float | None
    calls: float
    ratio_points: float
    others: tuple[Cause, ...] = ()
    companion: Member | None = None


def ratio_points(cause: Cause, slope: float) -> float:
    """25 for one look-up per row; less for several, for fewer (an identity map asks once per distinct key)."""
    whole = min(max(round(slope), 1), WHOLE)
    off = abs(slope / whole - 1.0)
    if off <= EXACT:
        return 25.0 if whole == 1 else 20.0
    if off <= NEAR:
        return 20.0 if whole == 1 else 15.0
    if whole == 1 and off <= 2 * NEAR:
        return 12.0
    if 0.05 <= slope < 1.0:
        return 12.0 if cause.link.edge.kind in ("forward", "guess") else 8.0
    return 0.0


def causes(candidate: Candidate, found: Members, schema: Schema) -> list[Cause]:
    """Each link as it is, and without the calls that a batch look-up of the same key answers."""
    listed = []
    for link in candidate.links:
        statement = link.parent.statement
        size = max(statement.rows_per_call, 1.0)
        per_row = link.edge.per_row or 1.0
        whole = tuple(rows * per_row for rows in statement.rows)
        listed.append(Cause(link, Regressor(whole, size)))
        twins = [one for one in found.all if _is_twin(one, link, schema) and one.statement.user == statement.user]
        answered = [sum(one.statement.calls[at] for one in twins) for at in range(len(whole))]
        if 0 < sum(answered) < statement.total_calls:
            left = tuple(
                count * max(1.0 - batch / calls, 0.0) if calls else 0.0
                for count, batch, calls in zip(whole, answered, statement.calls, strict=True)
            )
            listed.append(Cause(link, Regressor(left, size), less_twins=True))
    return listed


def explain(candidate: Candidate, possible: Sequence[Cause], companions: Sequence[Member]) -> Explanation | None:
    """The best explanation by the rows of a list; None where there is none, or something else explains it better."""
    calls = candidate.child.statement.calls
    alone = [_explanation(calls, (cause,), 0, fit(calls, [cause.regressor])) for cause in possible]
    best = max(alone, key=_merit, default=None)
    if best is None or best.strength is None or (best.strength >= STRONG and best.ratio_points >= 12):
        return best
    together = [one for one in _together(calls, possible, companions) if one.ratio_points >= 12]
    return max((best, *together), key=_merit)


def _together(calls: Sequence[int], possible: Sequence[Cause], companions: Sequence[Member]) -> Iterator[Explanation]:
    """Two lists that share the child, or a list and something asked once per request; with enough windows, three."""
    beside = [(member, Regressor(tuple(map(float, member.statement.calls)))) for member in companions]
    for at, first in enumerate(possible):
        for member, regressor in beside:
            found = fit(calls, [first.regressor, regressor])
            if _holds(found, SHARED) and _is_whole(found.slopes[1]):
                yield _explanation(calls, (first,), 0, found, member)
        for second in possible[at + 1 :]:
            if second.link.parent is first.link.parent:
                continue
            pair = (first, second)
            yield from _pair(calls, pair)
            if len(calls) < LEAST_WINDOWS_OF_THREE:
                continue
            for member, regressor in beside:
                found = fit(calls, [first.regressor, second.regressor, regressor])
                if _holds(found, FIRM) and _is_whole(found.slopes[2]) and _both(pair, found):
                    yield _explanation(calls, pair, _larger(pair, found), found, member)


def _pair(calls: Sequence[int], pair: tuple[Cause, Cause]) -> Iterator[Explanation]:
    found = fit(calls, [cause.regressor for cause in pair])
    if _holds(found, SHARED) and _both(pair, found):
        yield _explanation(calls, pair, _larger(pair, found), found)


def _explanation(
    calls: Sequence[int], parts: tuple[Cause, ...], at: int, found: Fit, companion: Member | None = None
) -> Explanation:
    cause, slope = parts[at], found.slopes[at]
    return Explanation(
        cause=cause,
        slope=slope,
        strength=found.strength,
        calls=min(slope * sum(cause.regressor.counts), float(sum(calls))),
        ratio_points=ratio_points(cause, slope),
        others=tuple(part for place, part in enumerate(parts) if place != at),
        companion=companion,
    )


def _merit(one: Explanation) -> tuple[float, float, int]:
    edge = 1 if one.cause.link.edge.is_declared else 0
    strength = one.strength if one.strength is not None else 0.0
    return (round(strength, 1) * 25 + one.ratio_points + 10 * edge, strength, -len(one.others))


def _holds(found: Fit, least: float) -> bool:
    return found.strength is not None and found.strength >= least


def _both(pair: tuple[Cause, Cause], found: Fit) -> bool:
    return all(ratio_points(cause, slope) >= 12 for cause, slope in zip(pair, found.slopes, strict=False))


def _larger(pair: tuple[Cause, Cause], found: Fit) -> int:
    sizes = [slope * sum(cause.regressor.counts) for cause, slope in zip(pair, found.slopes, strict=False)]
    return sizes.index(max(sizes))


def _is_whole(slope: float) -> bool:
    return any(abs(slope / whole - 1) <= NEAR for whole in (1, 2, 3))


def _is_twin(member: Member, link: Link, schema: Schema) -> bool:
    """A batch look-up (IN, ANY) of the same key: what a fixed endpoint asks after the same list."""
    places = schema.places(member.shape)
    listed = {(places[at], name) for at, name in member.shape.listed if at >= 0}
    return all((link.edge.child_table, name) in listed for name in link.edge.child_columns)
