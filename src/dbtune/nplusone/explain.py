"""Whose rows explain the calls of a child: one parent's, several parents' together, or no list at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbtune.nplusone.candidates import LEAST_CALLS, Candidate, Link, Member, Members
from dbtune.nplusone.edges import Lookup, Schema, batch_lookups, edges, lookups
from dbtune.nplusone.fit import Fit, Regressor, fit, strength_of
from dbtune.nplusone.joint import REST, Term, left_over, regress

STRONG = 0.9
"""Strength from which one parent alone explains the child. Unrelated counts reach it over six windows in one of a
hundred tries, edges and ratio aside."""
SHARED = 0.95
"""With two causes to choose from there are many pairs, so one that is right by chance has to be rarer."""
FIRM = 0.97
"""For sums of up to four parts, which have to be exact."""
CHANCE = 0.01
"""That an unrelated list explains a child as well as this one does, over all lists that were tried."""
MOST_COMPANIONS = 10
WHOLE = 5
"""Ratios of 1 to 5 look-ups per row are plausible: the same thing read in several places of one page."""
ALONE = 2.0
"""Times what independent look-ups leave. When no more is left, a child goes by the load of the hour and needs no list:
N at a time leave N times as much."""
ANSWERED = 0.97
"""A batch as frequent as its list leaves nobody who could look up row by row."""
EXACT = 0.03
NEAR = 0.10


@dataclass(frozen=True, slots=True)
class Cause:
    """Rows that may cause calls. `less_twins`: without the calls of the parent that a fixed twin follows."""

    link: Link
    regressor: Regressor
    less_twins: bool = False


@dataclass(frozen=True, slots=True)
class Companion:
    """A statement of the same request, and how many of the child's calls it stands for."""

    member: Member
    regressor: Regressor


@dataclass(frozen=True, slots=True)
class Explanation:
    """`slope`: look-ups per row of the cause. `calls`: how many of the child's calls it explains.

    `is_tested`: unrelated counts would explain as much in less than one of a hundred tries, all tries counted.
    `is_burst`: the look-ups come N at a time; that they follow this list and no other is not known.
    """

    cause: Cause
    slope: float
    strength: float | None
    calls: float
    ratio_points: float
    others: tuple[Cause, ...] = ()
    beside: tuple[Companion, ...] = ()
    is_tested: bool = False
    is_burst: bool = False


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
    """Each link as it is, and without the calls of its parent that a fixed endpoint makes: one that reads the same
    list and then asks for all of its rows at once. Either kind of batch may be the only one of its endpoint.
    """
    listed = []
    for link in candidate.links:
        statement = link.parent.statement
        size = max(statement.rows_per_call, 1.0)
        whole = tuple(rows * (link.edge.per_row or 1.0) for rows in statement.rows)
        listed.append(Cause(link, Regressor(whole, size)))
        seen: set[tuple[float, ...]] = set()
        for batch in (one for one in found.batches if one.statement.user == statement.user):
            if not (schema.reach(batch.shape) & schema.reach(link.parent.shape) and _follows_list(batch, link, schema)):
                continue
            for answered in _answered(batch, candidate, link, schema):
                if 0 < sum(answered) < sum(whole) and answered not in seen:
                    seen.add(answered)
                    left = tuple(max(count - some, 0.0) for count, some in zip(whole, answered, strict=True))
                    listed.append(Cause(link, Regressor(left, size), less_twins=True))
    return listed


def _answered(batch: Member, candidate: Candidate, link: Link, schema: Schema) -> Iterator[tuple[float, ...]]:
    """How many rows of the parent the batch answers in each window: its share of the parent's calls. Where it asks
    for the same as the child, its rows tell more exactly: each key brings as many as the child does on average.
    """
    parent, child, own = link.parent.statement, candidate.child.statement, batch.statement
    if own.total_calls >= ANSWERED * parent.total_calls:
        return
    by_calls = tuple(
        rows * link.edge.per_row * min(some / calls, 1.0) if calls else 0.0
        for rows, some, calls in zip(parent.rows, own.calls, parent.calls, strict=True)
    )
    yield by_calls
    asked = {(one.table, one.columns) for one in batch_lookups(batch.shape, schema)}
    is_same = (link.edge.child_table, link.edge.child_columns) in asked
    if is_same and own.total_rows * child.total_rows * sum(by_calls) > 0:
        # Of several rows with one key a batch asks once, so what it answers is more than it returns.
        is_one = link.edge.kind in ("forward", "guess", "same")
        each = own.total_rows / sum(by_calls) if is_one else child.rows_per_call
        yield tuple(rows / each for rows in own.rows)


def _follows_list(batch: Member, link: Link, schema: Schema) -> bool:
    """Whether the batch may look up what the rows of the parent hold, by this edge or by another one."""
    wanted = [*batch_lookups(batch.shape, schema)]
    return any(edge.kind != "shared" for edge in edges(link.parent.shape, wanted, schema))


def explain(
    candidate: Candidate, possible: Sequence[Cause], beside: Sequence[Companion], load: Sequence[float]
) -> Explanation | None:
    """The best explanation by the rows of a list, alone or with others; None where no list is linked."""
    calls = candidate.child.statement.calls
    alone = [_explanation(calls, (cause,), 0, fit(calls, [cause.regressor])) for cause in possible]
    best = max(alone, key=_merit, default=None)
    if best is None or best.strength is None:
        return best
    together = [one for one in _together(calls, possible, beside, load) if one.ratio_points >= 12]
    return max(together, key=lambda one: one.calls, default=best)


def _together(
    calls: Sequence[int], possible: Sequence[Cause], beside: Sequence[Companion], load: Sequence[float]
) -> Iterator[Explanation]:
    """Lists that share the child with each other, and with what is asked once per request; some look-ups leave no
    other trace.
    """
    lists = {id(cause.link.parent): place for place, cause in enumerate(possible)}
    terms = [Term(cause.regressor.counts, lists[id(cause.link.parent)]) for cause in possible]
    terms += [Term(one.regressor.counts, len(terms) + place) for place, one in enumerate(beside)]
    terms.append(Term((1.0,) * len(calls), REST))
    parts = regress(calls, terms)
    sure = [part for part in parts if part.at < len(possible) and part.chance <= CHANCE / len(possible)]
    without = [terms[part.at] for part in parts if len(possible) <= part.at < len(terms) - 1]
    if left_over(calls, [*without, Term(tuple(load), REST)]) < ALONE * (len(calls) - len(without) - 1):
        return
    others = tuple(beside[part.at - len(possible)] for part in parts if len(possible) <= part.at < len(terms) - 1)
    known = [_regressor(part.at, possible, beside, calls) for part in parts]
    whole = strength_of(calls, known, tuple(part.slope for part in parts))
    for part in sure:
        cause, slope = _likeliest(possible[part.at], part.slope, possible)
        strength = None if whole.strength is None else min(part.share, whole.strength)
        yield Explanation(
            cause, slope, strength,
            min(slope * sum(cause.regressor.counts), float(sum(calls))),
            ratio_points(cause, slope),
            tuple(possible[one.at] for one in sure if one is not part), others, True,  # noqa: FBT003
        )  # fmt: skip


def _likeliest(cause: Cause, slope: float, possible: Sequence[Cause]) -> tuple[Cause, float]:
    """Of the references in one row (author, reviewer) the one whose share of NULLs fits the slope best."""
    alike = [
        (one, slope * cause.link.edge.per_row / one.link.edge.per_row)
        for one in possible
        if one.link.parent is cause.link.parent and one.less_twins == cause.less_twins and one.link.edge.per_row > 0
    ]
    return max(alike, key=lambda pair: (pair[0].link.edge.is_declared, ratio_points(*pair)), default=(cause, slope))


def _regressor(at: int, possible: Sequence[Cause], beside: Sequence[Companion], calls: Sequence[int]) -> Regressor:
    if at < len(possible):
        return possible[at].regressor
    place = at - len(possible)
    return beside[place].regressor if place < len(beside) else Regressor((1.0,) * len(calls), 0.0)


def companions(
    candidate: Candidate, found: Members, possible: Mapping[int, Sequence[Cause]], schema: Schema
) -> list[Companion]:
    """What is asked once per request and brings the child along: a single row that refers to the child's (a session
    to its user), or a look-up by a key that refers to it (the posts of this user). No list, nor what follows one.
    """
    child = candidate.child.statement
    own = [lookup for lookup in candidate.lookups if lookup.foreign is None]
    tables = {(lookup.table, lookup.columns) for lookup in own}
    near = {lookup.table for lookup in candidate.lookups}
    listed = []
    for member in found.all:
        statement = member.statement
        if statement is child or statement.user != child.user or statement.total_calls < LEAST_CALLS / 5:
            continue
        if not near & schema.reach(member.shape):
            continue
        if any(_follows(statement.calls, cause) for cause in possible.get(id(statement), ())):
            continue
        forward = next((edge for edge in edges(member.shape, own, schema) if edge.kind == "forward"), None)
        if forward is not None and statement.rows_per_call <= 1.0:
            counts = tuple(rows * forward.per_row for rows in statement.rows)
            listed.append(Companion(member, Regressor(counts)))
        elif (
            member.shape.verb == "insert" and candidate.child.shape.is_probe and _same_table(member, candidate.child)
        ) or (member.shape.verb == "select" and tables & {_referred(one) for one in lookups(member.shape, schema)}):
            listed.append(Companion(member, Regressor(tuple(map(float, statement.calls)))))
    return sorted(listed, key=lambda one: -sum(one.regressor.counts))[:MOST_COMPANIONS]


def _same_table(one: Member, other: Member) -> bool:
    return bool(set(one.shape.tables) & set(other.shape.tables))


def _referred(lookup: Lookup) -> tuple[tuple[str, str], tuple[str, ...]] | None:
    row = lookup.foreign
    if row is None or row.other_schema is None or row.other_table is None:
        return None
    return (row.other_schema, row.other_table), tuple(row.other_columns or ())


def _follows(calls: Sequence[int], cause: Cause) -> bool:
    found = fit(calls, [cause.regressor])
    return _holds(found, SHARED) and ratio_points(cause, found.slopes[0]) >= 12


def _explanation(
    calls: Sequence[int], lists: tuple[Cause, ...], at: int, found: Fit, beside: tuple[Companion, ...] = ()
) -> Explanation:
    cause, slope = lists[at], found.slopes[at]
    return Explanation(
        cause=cause,
        slope=slope,
        strength=found.strength,
        calls=min(slope * sum(cause.regressor.counts), float(sum(calls))),
        ratio_points=ratio_points(cause, slope),
        others=tuple(part for place, part in enumerate(lists) if place != at),
        beside=beside,
    )


def _merit(one: Explanation) -> tuple[float, float, int]:
    edge = 1 if one.cause.link.edge.is_declared else 0
    strength = one.strength if one.strength is not None else 0.0
    return (round(strength, 1) * 25 + one.ratio_points + 10 * edge, strength, -len(one.others) - len(one.beside))


def _holds(found: Fit, least: float) -> bool:
    return found.strength is not None and found.strength >= least
