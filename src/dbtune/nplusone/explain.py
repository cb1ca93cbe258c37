"""Whose rows explain the calls of a child: one parent's, several parents' together, or no list at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from dbtune.nplusone.candidates import LEAST_CALLS, Candidate, Link, Member, Members
from dbtune.nplusone.edges import Lookup, Schema, batch_lookups, edges, lookups
from dbtune.nplusone.fit import Fit, Regressor, fit, strength_of

STRONG = 0.9
"""Strength from which one parent alone explains the child. Unrelated counts reach it over six windows in one of a
hundred tries, edges and ratio aside."""
SHARED = 0.95
"""With two causes to choose from there are many pairs, so one that is right by chance has to be rarer."""
FIRM = 0.97
"""For sums of up to four parts, which have to be exact."""
LEAST_SHARE = 0.85
"""Some look-ups leave no other trace: a sum may leave the rest unexplained, if it is the same in every window."""
MOST_COMPANIONS = 6
MOST_LISTS = 2
MOST_PARTS = 4
PAIR = 2
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
class Companion:
    """A statement of the same request, and how many of the child's calls it stands for."""

    member: Member
    regressor: Regressor


@dataclass(frozen=True, slots=True)
class Explanation:
    """`slope`: look-ups per row of the cause. `calls`: how many of the child's calls it explains."""

    cause: Cause
    slope: float
    strength: float | None
    calls: float
    ratio_points: float
    others: tuple[Cause, ...] = ()
    beside: tuple[Companion, ...] = ()


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
        seen: set[tuple[int, ...]] = set()
        for batch in (one for one in found.batches if one.statement.user == statement.user):
            answered = batch.statement.calls
            fewer = sum(answered) < statement.total_calls and answered not in seen
            near = schema.reach(batch.shape) & schema.reach(link.parent.shape)
            if fewer and near and _follows_list(batch, link, schema):
                seen.add(answered)
                left = tuple(
                    count * max(1.0 - some / calls, 0.0) if calls else 0.0
                    for count, some, calls in zip(whole, answered, statement.calls, strict=True)
                )
                listed.append(Cause(link, Regressor(left, size), less_twins=True))
    return listed


def _follows_list(batch: Member, link: Link, schema: Schema) -> bool:
    """Whether the batch may look up what the rows of the parent hold, by this edge or by another one."""
    wanted = [*batch_lookups(batch.shape, schema)]
    return any(edge.kind != "shared" for edge in edges(link.parent.shape, wanted, schema))


def explain(candidate: Candidate, possible: Sequence[Cause], beside: Sequence[Companion]) -> Explanation | None:
    """The best explanation by the rows of a list, alone or with others; None where no list is linked."""
    calls = candidate.child.statement.calls
    alone = [_explanation(calls, (cause,), 0, fit(calls, [cause.regressor])) for cause in possible]
    best = max(alone, key=_merit, default=None)
    if best is None or best.strength is None or (best.strength >= STRONG and best.ratio_points >= 12):
        return best
    together = [one for one in _together(calls, possible, beside) if one.ratio_points >= 12]
    return max((best, *together), key=_merit)


def _together(calls: Sequence[int], possible: Sequence[Cause], beside: Sequence[Companion]) -> Iterator[Explanation]:
    """Lists that share the child with each other, and with what is asked once per request."""
    for size in range(1, MOST_LISTS + 1):
        for lists in combinations(possible, size):
            if len({id(cause.link.parent) for cause in lists}) < size:
                continue
            for more in range(MOST_PARTS - size + 1):
                for others in combinations(beside, more):
                    if size + more > 1:
                        yield from _sum(calls, lists, others)


def _sum(calls: Sequence[int], lists: tuple[Cause, ...], others: tuple[Companion, ...]) -> Iterator[Explanation]:
    """Once for each row and once for each request: the sum is exact. Or, of two, each with a slope of its own."""
    parts = [one.regressor for one in lists] + [one.regressor for one in others]
    total = sum(sum(part.counts) for part in parts)
    share = total / max(sum(calls), 1)
    if LEAST_SHARE <= share <= 1 + EXACT:
        if share < 1 - EXACT:
            parts = [*parts, Regressor(((sum(calls) - total) / len(calls),) * len(calls))]
        exact = strength_of(calls, parts, (1.0,) * len(parts))
        if _holds(exact, FIRM):
            yield _explanation(calls, lists, _larger(lists, exact), exact, others)
    parts = parts[: len(lists) + len(others)]
    if len(parts) == PAIR:
        found = fit(calls, parts)
        whole = not others or _is_whole(found.slopes[1])
        if _holds(found, SHARED) and whole and all(ratio_points(*one) >= 12 for one in zip(lists, found.slopes)):  # noqa: B905
            yield _explanation(calls, lists, _larger(lists, found), found, others)


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


def _larger(lists: tuple[Cause, ...], found: Fit) -> int:
    sizes = [slope * sum(cause.regressor.counts) for cause, slope in zip(lists, found.slopes, strict=False)]
    return sizes.index(max(sizes))


def _is_whole(slope: float) -> bool:
    return any(abs(slope / whole - 1) <= NEAR for whole in (1, 2, 3))
