"""Walks over a table that refers to itself, one node a statement: a recursive query reads them at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dbtune.nplusone.candidates import LEAST_CALLS, LEAST_ROWS, Candidate, Member, Members
from dbtune.nplusone.detection import Detection, Score, level_of
from dbtune.nplusone.edges import Edge, Lookup, Schema, edges, lookups
from dbtune.nplusone.explain import companions
from dbtune.nplusone.fit import Fit, Regressor, fit
from dbtune.nplusone.joint import REST, Term, chance_of, left_over, left_over_at_most_once, regress
from dbtune.nplusone.saving import saving
from dbtune.nplusone.traffic import Statement, Traffic

LEAST_DEPTH = 1.6
"""Look-ups of the table per reference to it: a reference alone is one, each level above it one more."""
STRENGTH = 0.8
"""How closely they have to follow: random pages of nodes have as many children on average as a walk, but not in
every window."""
CHANCE = 0.01
"""That an unrelated statement explains the look-ups as well, over all references to the table."""
CUT = 0.25
STRENGTH_CUT = 0.95
"""A walk that fills windows is cut in some of them, and then has to follow all the more closely."""
SAME = 0.95
"""From here on two statements run equally often."""
FEWEST_CHILDREN, MOST_CHILDREN = 0.6, 1.02
"""Rows per call of a walk downwards: every node but the first is somebody's child, so a walk over n nodes gets
n - 1 rows from n calls."""


def trees(found: Members, schema: Schema, traffic: Traffic) -> dict[int, Detection]:
    """Detections by the identity of the statement. A walk cannot be told from one snapshot."""
    if traffic.is_snapshot:
        return {}
    listed: dict[int, Detection] = {}
    for child in found.children:
        if child.shape.verb != "select":
            continue
        for lookup in lookups(child.shape, schema):
            detection = _down(child, lookup, found, traffic) or _up(child, lookup, found, schema, traffic)
            if detection is not None:
                listed.setdefault(id(child.statement), detection)
    return listed


def _down(child: Member, lookup: Lookup, found: Members, traffic: Traffic) -> Detection | None:
    """Children by their parent's key, as often as children were found, plus once for each walk."""
    row, statement = lookup.foreign, child.statement
    if row is None or (row.other_schema, row.other_table) != lookup.table:
        return None
    if not FEWEST_CHILDREN <= statement.rows_per_call <= MOST_CHILDREN:
        return None
    follows = fit(statement.calls, [Regressor(tuple(map(float, statement.rows)))])
    if follows.strength is None or follows.strength < STRENGTH or _once_per_node(child, found):
        return None
    # Each walk begins with a call that is nobody's child; but a snapshot may cut a walk, the children of one level
    # found and not yet asked for theirs.
    cut = sum(1 for calls, rows in zip(statement.calls, statement.rows, strict=True) if rows >= calls > 0)
    if cut and (cut > CUT * len(statement.calls) or follows.strength < STRENGTH_CUT):
        return None
    walks = max(statement.total_calls - statement.total_rows, 1)
    text = f"{'.'.join(lookup.table)}.{lookup.columns[0]} → {'.'.join(lookup.table)}"
    others = tuple(row.other_columns or ())
    edge = Edge("reverse", text, lookup.table, others, lookup.table, lookup.columns, 1.0, lookup.columns)
    return _detection(child, None, edge, follows, statement.total_calls / walks, traffic=traffic)


def _once_per_node(child: Member, found: Members) -> bool:
    """Something else reads the same table just as often: a page for one node, which shows its children."""
    for member in found.all:
        if member is child or not set(member.shape.tables) & set(child.shape.tables):
            continue
        follows = fit(child.statement.calls, [Regressor(tuple(map(float, member.statement.calls)))])
        if follows.strength is not None and follows.strength >= SAME and abs(follows.slopes[0] - 1.0) <= 1.0 - SAME:
            return True
    return False


def _up(child: Member, lookup: Lookup, found: Members, schema: Schema, traffic: Traffic) -> Detection | None:
    """More look-ups of nodes than references to the first of them: the rest are their ancestors."""
    if lookup.foreign is not None or not schema.own_link(lookup.table):
        return None
    calls = child.statement.calls
    listed = list(_references(child, lookup, found, schema))
    beside = companions(Candidate(child, (lookup,), ()), found, {}, schema)
    known = {id(one) for one, _, _ in listed}
    counts = [one for _, _, one in listed]
    counts += [one.regressor.counts for one in beside if id(one.member.statement) not in known]
    terms = [Term(one, place) for place, one in enumerate(counts)]
    rest = Term((1.0,) * len(calls), REST)
    parts = regress(calls, [*terms, rest])
    walks = [part for part in parts if part.at < len(listed) and part.slope >= LEAST_DEPTH]
    best = max(walks, key=lambda part: part.slope * sum(terms[part.at].counts), default=None)
    if best is None or best.chance > CHANCE / len(listed):
        return None
    # The other story: each reference is followed once at most, and none leads further up.
    walked = left_over(calls, [[*terms, rest][part.at] for part in parts])
    spare = len(calls) - len(parts)
    once = min(left_over_at_most_once(calls, terms, rest=one) for one in (rest, Term(found.load, REST)))
    better = max(once - walked, 0.0) / walked * spare
    # Look-ups that nothing else shows come independently, and would leave as much.
    if once < spare or chance_of(math.sqrt(better), spare) > CHANCE:
        return None
    statement, edge, _ = listed[best.at]
    return _detection(child, statement, edge, Fit((best.slope,), best.share), best.slope, traffic=traffic)


def _references(
    child: Member, lookup: Lookup, found: Members, schema: Schema
) -> Iterator[tuple[Statement, Edge, tuple[float, ...]]]:
    """What returns references to nodes, and how many."""
    for parent in found.all:
        statement = parent.statement
        if statement is child.statement or statement.user != child.statement.user or parent.shape.verb != "select":
            continue
        edge = next((one for one in edges(parent.shape, [lookup], schema) if one.kind == "forward"), None)
        if edge is not None and statement.total_rows >= LEAST_ROWS:
            yield statement, edge, tuple(rows * edge.per_row for rows in statement.rows)


def _detection(
    child: Member, parent: Statement | None, edge: Edge, follows: Fit, per_walk: float, *, traffic: Traffic
) -> Detection | None:
    strength = follows.strength or 0.0
    score = Score(20.0, 20.0, 12.0, 25.0 * min(max((strength - 0.5) / 0.4, 0.0), 1.0), 10.0)
    reasons = ("counters show how often nodes were read, not in which order",)
    level = level_of(score, capped=True)
    if level is None or child.statement.total_calls < LEAST_CALLS:
        return None
    calls = float(child.statement.total_calls)
    shares = saving(child.statement, calls, per_walk, traffic)
    return Detection(
        "tree", level, score, parent, child.statement, edge, per_walk, follows.slopes[0], calls,
        shares.of_calls, shares.of_time, shares.saved_s, reasons,
    )  # fmt: skip
