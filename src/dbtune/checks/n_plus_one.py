"""A statement that runs once for each row of another one (N+1), or writes one row at a time.

**Why it matters.** Each look-up is fast, and there are N of them: a page of fifty rows waits for fifty round trips, and
grows slower with its content. No single statement shows among the slow ones.

**How it is known.** Over the sub-windows of `--window 60s`, the child's calls equal the parent's rows, window by
window, along a foreign key: shape of the look-up 20 points, foreign key 20 (10 where only the names say so), calls
per row 25, co-variation 25, cheapness 10. Where several lists, fixed pages and sessions share a look-up, each gets its
share by regression, and counts only if chance would bring as much in less than one of a hundred tries. *Suspected*
from 60, *likely* from 80. Without a window only the ratio and the shape are left, so it is *suspected* at most.
Counters cannot tell look-ups of different rows from the same one repeated: `--log FILE`, the server's log with
values, can, and makes it *confirmed*. Locking look-ups, queues (SKIP
LOCKED), uniqueness and referential checks, batches (IN, ANY), and what is asked once per request are left out.

**What to do.** Join, or ask once with `= any($1)`: select_related or prefetch_related in Django, selectinload or
joinedload in SQLAlchemy, leftJoinAndSelect in TypeORM, include in Prisma, includes in Rails. Write in batches.
Walk trees with a recursive query. Accept what is meant in the file of `--accept`: as its object the queryid or the
fingerprint of the repeated statement, a reason, and a last day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.core.findings import Finding, Fix, Unexamined
from dbtune.core.units import format_duration
from dbtune.nplusone.detect import detect
from dbtune.nplusone.detection import LIKELY, SUSPECTED, Detection
from dbtune.nplusone.rewrite import rewrite
from dbtune.nplusone.traffic import Statement, Traffic

LEAST_SCORE, LIKELY_SCORE = SUSPECTED, LIKELY
"""Field notes on real ORMs; measured on Django's and SQLAlchemy's traffic in the tests."""

LEAST_SAVING_S = 0.001
"""Less is not worth a word."""


def judge(rows: Sequence[Traffic], server: Audited) -> Verdicts:
    """One finding for each child statement, the one with most calls first."""
    for traffic in rows:
        found = detect(traffic)
        for detection in found.detections:
            yield _finding(detection, traffic)
        yield from (Unexamined(CHECK.code, unread.reason, unread.hint) for unread in traffic.unread)
        if found.unparsed:
            yield Unexamined(CHECK.code, f"{found.unparsed} statements could not be parsed", "judge them by hand")
        if found.left_out:
            yield Unexamined(
                CHECK.code, f"{found.left_out} less frequent statements were left out", "the busiest come first"
            )


def _finding(found: Detection, traffic: Traffic) -> Finding:
    advice = rewrite(found)
    return CHECK.finding(
        found.edge.text if found.edge else f"queryid {found.child.queryids[0]}",
        _message(found, traffic),
        severity="info" if found.level == "suspected" else "warning",
        evidence={
            "kind": found.kind,
            "level": found.level,
            "score": found.score.total,
            "parts": {
                "shape": found.score.shape,
                "edge": found.score.edge,
                "ratio": round(found.score.ratio, 1),
                "covariation": None if found.score.covariation is None else round(found.score.covariation, 1),
                "cheap": found.score.cheap,
            },
            "parent": None if found.parent is None else _shown(found.parent),
            "child": _shown(found.child),
            "calls_per_parent": round(found.calls_per_parent, 2),
            "edge": found.edge.text if found.edge else None,
            "calls_per_row": None if found.ratio is None else round(found.ratio, 3),
            "calls": round(found.calls),
            "share_of_calls": round(found.share_of_calls, 4),
            "share_of_time": round(found.share_of_time, 4),
            "time_to_save_s": [round(value, 6) for value in found.saved_s],
            "window_s": round(traffic.seconds, 3),
            "caveats": [*found.reasons, *traffic.caveats],
            "rewrite": dict(advice.words),
        },
        fix=Fix(sql=advice.sql),
        confidence="heuristic" if traffic.is_snapshot else "measured",
    )


def _message(found: Detection, traffic: Traffic) -> str:
    what = {"select": "looks up one row at a time", "write": "writes one row at a time", "tree": "walks a tree by node"}
    about = f"{found.calls:,.0f} calls, {found.calls_per_parent:.3g} for each "
    about += "call of its parent" if found.parent is not None else ("walk" if found.kind == "tree" else "transaction")
    shares = f"{found.share_of_calls:.0%} of all calls and {found.share_of_time:.0%} of the time"
    span = "since the statistics began" if traffic.is_snapshot else f"in {format_duration(traffic.seconds)}"
    why = f" ({found.reasons[0]})" if found.reasons else ""
    return f"{found.level}: {what[found.kind]}: {about}, {shares} {span}{_saving(found)}{why}"


def _saving(found: Detection) -> str:
    """What those who wait for it would gain together; silence where it is nothing."""
    low, high = (format_duration(value) for value in found.saved_s)
    if found.saved_s[1] < LEAST_SAVING_S:
        return ""
    return f"; one statement saves its callers {high if low == high else f'{low} to {high}'}"


def _shown(statement: Statement) -> Mapping[str, Any]:
    return {
        "queryid": statement.queryids[0],
        "query": statement.text,
        "queryids": list(statement.queryids),
        "fingerprint": statement.fingerprint,
    }


CHECK = Check(
    "PG201",
    "n-plus-one",
    "warning",
    "statement_windows",
    Traffic,
    judge,
    source="statements",
    needs="pg_stat_statements",
)
