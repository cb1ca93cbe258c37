"""Loops that write one row a statement, seen without a list before them: by what they hang on, or per transaction."""

from __future__ import annotations

from dbtune.nplusone.candidates import LEAST_CALLS, Member, Members
from dbtune.nplusone.detection import Detection, Score, level_of
from dbtune.nplusone.edges import Edge, Schema, edges, lookups
from dbtune.nplusone.fit import Fit, Regressor, fit
from dbtune.nplusone.saving import saving
from dbtune.nplusone.shapes import transaction_end
from dbtune.nplusone.traffic import Statement, Traffic

LEAST_PER_TRANSACTION = 5.0
"""Single-row writes for each transaction that commits."""
STRENGTH = 0.8
AUTOCOMMIT = 0.5
"""When so many transactions per write are left over, the writes may well be transactions of their own."""


def writes(found: Members, schema: Schema, traffic: Traffic) -> dict[int, Detection]:
    """Detections by the identity of the statement."""
    listed: dict[int, Detection] = {}
    for child in found.children:
        if child.shape.verb == "select" or not _writes_one_row(child, schema) or works_a_queue(child, found, schema):
            continue
        detection = _after_insert(child, found, schema, traffic) or _in_transactions(child, traffic)
        if detection is not None:
            listed[id(child.statement)] = detection
    return listed


def works_a_queue(child: Member, found: Members, schema: Schema) -> bool:
    """Writes to rows that somebody takes with SKIP LOCKED, about as often as they are taken."""
    if child.shape.verb not in ("update", "delete"):
        return False
    own = {schema.resolve(name) for name in child.shape.tables} - {None}
    takers = [
        one for one in found.all if one.shape.skips_locked and own & {schema.resolve(n) for n in one.shape.tables}
    ]
    taken = sum(one.statement.total_rows for one in takers)
    return taken > 0 and child.statement.total_calls <= 2 * taken


def _writes_one_row(child: Member, schema: Schema) -> bool:
    statement = child.statement
    if child.shape.verb == "insert":
        return child.shape.values == 1 and statement.rows_per_call <= 1.0
    by_key = any(one.foreign is None for one in lookups(child.shape, schema))
    return by_key and statement.rows_per_call <= 1.0


def _after_insert(child: Member, found: Members, schema: Schema, traffic: Traffic) -> Detection | None:
    """Rows put in one by one after the row that they refer to (an order and its items)."""
    if child.shape.verb != "insert":
        return None
    wanted = lookups(child.shape, schema)
    for parent in found.all:
        statement = parent.statement
        if parent.shape.verb != "insert" or statement.user != child.statement.user or statement is child.statement:
            continue
        alone = _without_batches(parent, child, found)
        per_parent = child.statement.total_calls / max(sum(alone), 1.0)
        edge = next((one for one in edges(parent.shape, wanted, schema) if one.kind == "reverse"), None)
        if sum(alone) < 1 or edge is None or per_parent < LEAST_PER_TRANSACTION:
            continue
        follows = fit(child.statement.calls, [Regressor(alone)])
        if follows.strength is not None and follows.strength >= STRENGTH:
            return _detection(child, statement, edge, follows, per_parent, traffic=traffic)
    return None


def _without_batches(parent: Member, child: Member, found: Members) -> tuple[float, ...]:
    """The parent's calls that no INSERT of many rows into the child's table follows: a fixed endpoint's."""
    batches = [
        one.statement
        for one in found.all
        if one.shape.verb == "insert" and one.shape.values != 1 and one.shape.tables == child.shape.tables
    ]
    return tuple(
        max(calls - sum(batch.calls[at] for batch in batches), 0.0) for at, calls in enumerate(parent.statement.calls)
    )


def _in_transactions(child: Member, traffic: Traffic) -> Detection | None:
    """Many writes for each COMMIT. Where statements commit by themselves there is no evidence either way."""
    ends = sum(one.total_calls for one in traffic.statements if transaction_end(one.text))
    calls = child.statement.total_calls
    if ends == 0 or calls / ends < LEAST_PER_TRANSACTION or traffic.is_snapshot:
        return None
    spoken = sum(one.total_calls for one in traffic.statements if one.text[:6].upper() == "SELECT")
    if traffic.commits - ends - spoken > AUTOCOMMIT * calls:
        return None
    return _detection(child, None, None, Fit((calls / ends,), None), calls / ends, traffic=traffic)


def _detection(
    child: Member, parent: Statement | None, edge: Edge | None, follows: Fit, per_parent: float, *, traffic: Traffic
) -> Detection | None:
    strength = follows.strength
    covariation = None if strength is None else 25.0 * min(max((strength - 0.5) / 0.4, 0.0), 1.0)
    score = Score(20.0, 20.0 if edge else 10.0, 12.0 if edge else 20.0, covariation, 10.0)
    calls = float(child.statement.total_calls)
    level = level_of(score, capped=True)
    if level is None or calls < LEAST_CALLS:
        return None
    reasons = ("a pipelined executemany looks the same in the counters",)
    shares = saving(child.statement, calls, per_parent, traffic)
    return Detection(
        "write", level, score, parent, child.statement, edge, per_parent, None, calls,
        shares.of_calls, shares.of_time, shares.saved_s, reasons,
    )  # fmt: skip
