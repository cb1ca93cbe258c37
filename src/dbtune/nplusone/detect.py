"""From traffic to detections: one for each child, the costliest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dbtune.nplusone.bursts import burst
from dbtune.nplusone.candidates import LEAST_CALLS, Candidate, Member, Members, candidates, members
from dbtune.nplusone.detection import Detection, Kind, Score, level_of
from dbtune.nplusone.edges import Schema
from dbtune.nplusone.explain import (
    EXACT,
    NEAR,
    STRONG,
    Companion,
    Explanation,
    causes,
    companions,
    explain,
)
from dbtune.nplusone.fit import Regressor, fit, varies
from dbtune.nplusone.sample import confirmed
from dbtune.nplusone.saving import saving
from dbtune.nplusone.sharing import shared_lists
from dbtune.nplusone.traffic import Traffic
from dbtune.nplusone.trees import trees
from dbtune.nplusone.writes import works_a_queue, writes

LEAST_PER_PARENT = 5.0
"""Look-ups per call of the parent; fewer are hardly worth a rewrite."""
LEAST_STRENGTH = 0.7
"""Below this the child does not follow the rows: refuted, whatever the ratio."""
TWIN_STRENGTH = 0.92
"""Where calls of fixed twins are taken off the list's, the rest has to be followed closely."""
LOW_MEAN_MS = 5.0
"""A look-up by key that takes longer has another problem first."""
SNAPSHOT_NEAR = 0.05
"""Without a window there is nothing but the ratio, so it has to be near one."""


@dataclass(frozen=True, slots=True)
class Detected:
    """`unparsed` statements could not be read, `left_out` were beyond what is looked at."""

    detections: tuple[Detection, ...]
    unparsed: int = 0
    left_out: int = 0


def detect(traffic: Traffic) -> Detected:
    """Every statement that runs once per row of another one, or once per row of a loop that writes."""
    schema = Schema(traffic.keys)
    found = members(traffic.statements)
    first = _judge(candidates(found, (), schema), found, schema, traffic)
    # A look-up that follows a look-up (post → author → company) has a parent that returns one row a call.
    chained = [one for one in found.children if id(one.statement) in first and one.shape.verb == "select"]
    rest = [one for one in candidates(found, chained, schema) if id(one.child.statement) not in first]
    second = _judge(rest, found, schema, traffic, {id(one.statement) for one in chained})
    known = {**writes(found, schema, traffic), **first, **second, **trees(found, schema, traffic)}
    ordered = sorted(known.values(), key=lambda one: -one.calls)
    return Detected(confirmed(ordered, traffic.sample), found.unparsed, found.left_out)


def _judge(
    listed: Iterable[Candidate],
    found: Members,
    schema: Schema,
    traffic: Traffic,
    chained: frozenset[int] | set[int] = frozenset(),
) -> dict[int, Detection]:
    """Detections by the identity of the child's statement."""
    listed = list(listed)
    possible = {id(one.child.statement): causes(one, found, schema) for one in listed}
    shared = {} if traffic.is_snapshot else shared_lists(listed, possible)
    detections: dict[int, Detection] = {}
    for candidate in listed:
        child = candidate.child
        if _is_uniqueness_check(child, found) or works_a_queue(child, found, schema):
            continue
        key = id(child.statement)
        others = [] if traffic.is_snapshot else companions(candidate, found, possible, schema)
        explanation = explain(candidate, possible[key], others, found.load)
        if explanation is None or explanation.strength is None or explanation.strength < STRONG:
            explanation = shared.get(key, explanation)
            if not _is_good(child, explanation, others, traffic):
                explanation = burst(candidate, possible[key], others, found.load) or explanation
        if explanation is not None and (detection := _detection(child, explanation, others, traffic, chained)):
            detections[key] = detection
    return detections


def _detection(
    child: Member, explanation: Explanation, others: Sequence[Companion], traffic: Traffic, chained: Iterable[int]
) -> Detection | None:
    link = explanation.cause.link
    parent = link.parent.statement
    per_parent = explanation.calls / max(_parent_calls(explanation), 1.0)
    enough = per_parent >= LEAST_PER_PARENT or id(parent) in set(chained)
    if explanation.calls < LEAST_CALLS or not enough or not _plausible(child, explanation, others, traffic):
        return None
    reasons = _doubts(explanation, traffic)
    score = _score(child, explanation)
    level = level_of(score, capped=bool(reasons))
    if level is None:
        return None
    kind: Kind = "select" if child.shape.verb == "select" else "write"
    shares = saving(child.statement, explanation.calls, per_parent, traffic)
    return Detection(
        kind=kind,
        level=level,
        score=score,
        parent=parent,
        child=child.statement,
        edge=link.edge,
        calls_per_parent=per_parent,
        ratio=explanation.slope * link.edge.per_row,
        calls=explanation.calls,
        share_of_calls=shares.of_calls,
        share_of_time=shares.of_time,
        saved_s=shares.saved_s,
        reasons=reasons,
    )


def _is_good(child: Member, explanation: Explanation | None, others: Sequence[Companion], traffic: Traffic) -> bool:
    return explanation is not None and _plausible(child, explanation, others, traffic)


def _plausible(child: Member, explanation: Explanation, others: Sequence[Companion], traffic: Traffic) -> bool:
    """Load that varies has to show that the child follows; steady load leaves the ratio, which must then be exact."""
    edge = explanation.cause.link.edge
    points = explanation.ratio_points
    if explanation.strength is not None:
        if points == 0 or explanation.strength < LEAST_STRENGTH:
            return False
        if explanation.is_burst:
            return True
        if explanation.is_tested:
            return edge.is_declared or explanation.strength >= STRONG
        if explanation.cause.less_twins and (explanation.strength < TWIN_STRENGTH or points < 20):
            return False
        weak = points < 20 or not edge.is_declared
        return explanation.strength >= (STRONG if weak else LEAST_STRENGTH)
    off = abs(explanation.slope - 1.0)
    if traffic.is_snapshot:
        return edge.is_declared and off <= SNAPSHOT_NEAR
    if off > EXACT or edge.kind in ("same", "shared"):
        return False
    # A statement without any list behind it that ran exactly as often says: once per request.
    calls = child.statement.total_calls
    return not any(abs(sum(one.regressor.counts) / calls - 1.0) < off for one in others)


def _doubts(explanation: Explanation, traffic: Traffic) -> tuple[str, ...]:
    """Why the level is capped at suspected."""
    parent = explanation.cause.link.parent.statement
    doubts = []
    if traffic.is_snapshot:
        doubts.append("a single snapshot: only the ratio and the shape are known; watch with --window 60s")
    elif explanation.strength is None:
        doubts.append("the load was too steady to see whether the look-ups follow the rows")
    elif not varies(parent.rows, parent.calls):
        doubts.append("the parent returns the same number of rows every time: one per row and N per call look alike")
    if explanation.is_burst:
        doubts.append("the look-ups come many at a time; which list they follow is a guess, for others read it too")
    if explanation.cause.link.edge.kind == "guess":
        doubts.append("no foreign key is declared: the edge is guessed from the names")
    return tuple(doubts)


def _score(child: Member, explanation: Explanation) -> Score:
    statement = child.statement
    cheap = 10.0 if statement.total_ms / max(statement.total_calls, 1) < LOW_MEAN_MS else 5.0
    strength = explanation.strength
    covariation = None if strength is None else 25.0 * min(max((strength - 0.5) / 0.4, 0.0), 1.0)
    if covariation is not None and _fits_calls_better(child, explanation):
        covariation /= 2
    declared = explanation.cause.link.edge.is_declared
    own = explanation.cause.link.edge.kind == "same" and child.shape.verb != "select"
    return Score(
        shape=20.0,
        edge=20.0 if declared or own else 10.0,
        ratio=explanation.ratio_points,
        covariation=covariation,
        cheap=cheap,
    )


def _fits_calls_better(child: Member, explanation: Explanation) -> bool:
    """N per call whatever the rows: a loop, but not one per row."""
    if explanation.others or explanation.beside or explanation.cause.less_twins or explanation.strength is None:
        return False
    parent = explanation.cause.link.parent.statement
    by_calls = fit(child.statement.calls, [Regressor(tuple(map(float, parent.calls)))])
    return by_calls.strength is not None and by_calls.strength > explanation.strength + NEAR


def _parent_calls(explanation: Explanation) -> float:
    cause = explanation.cause
    parent = cause.link.parent.statement
    if not cause.less_twins:
        return float(parent.total_calls)
    rows = sum(parent.rows) * (cause.link.edge.per_row or 1.0)
    return parent.total_calls * sum(cause.regressor.counts) / rows if rows else 0.0


def _is_uniqueness_check(child: Member, found: Members) -> bool:
    """Asks whether a row exists as often as rows are put into the same table."""
    if not child.shape.is_probe:
        return False
    tables = set(child.shape.tables)
    inserted = sum(
        one.statement.total_calls for one in found.all if one.shape.verb == "insert" and tables & set(one.shape.tables)
    )
    return inserted >= child.statement.total_calls / 2
