"""Look-ups that come N at a time, where the list that brings them is read by so many endpoints that its rows follow
none of them: how often they come tells it, not when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbtune.nplusone.candidates import Candidate
from dbtune.nplusone.explain import Cause, Companion, Explanation, ratio_points
from dbtune.nplusone.fit import Regressor
from dbtune.nplusone.joint import REST, Term, jump, left_over, regress

LEAST_BURST = 5.0
"""Look-ups at a time; the squared residuals of independent single ones are 1 on average, of five at a time 5."""
LEAST_SHARE_OF_PAGE = 0.5
"""Of the list's rows per call. Rates that change by themselves look like small bursts, not like whole pages."""
SLACK = 1.1
STRENGTH = 0.7
"""What such evidence counts for: it says that there is a loop, and leaves open which list it is over."""
LEAST_WINDOWS = 10
"""A variance from fewer numbers is no estimate."""


def burst(
    candidate: Candidate, possible: Sequence[Cause], beside: Sequence[Companion], load: Sequence[float]
) -> Explanation | None:
    """The list with a row for each look-up in every window and pages as large as the bursts; None if there is none.

    Index of dispersion (Cox and Lewis 1966): over windows, calls that come N at a time vary N times as much as calls
    that come one by one. What goes by the load or by single rows (a session's user) is taken off before.
    """
    calls = candidate.child.statement.calls
    if len(calls) < LEAST_WINDOWS:
        return None
    terms = [Term(one.regressor.counts, place) for place, one in enumerate(beside)]
    base = [
        terms[part.at] for part in regress(calls, [*terms, Term((1.0,) * len(calls), REST)]) if part.at < len(terms)
    ]
    base.append(Term(tuple(load), REST))
    size = min(left_over(calls, base) / (len(calls) - len(base)), jump(calls, base))
    # A page about one row, much visited, is a burst of look-ups beside any list of such rows.
    is_page = candidate.child.shape.verb == "select"
    fitting = [
        one for one in possible if _can_bring(one, calls, size) and not (is_page and one.link.edge.kind == "same")
    ]
    best = max(fitting, key=lambda cause: _share(calls, cause, base), default=None)
    if best is None:
        return None
    total = float(sum(calls))
    share = min(total / sum(best.regressor.counts), 1.0)
    own = Regressor(tuple(count * share for count in best.regressor.counts), best.regressor.size)
    points = ratio_points(best, share)
    return Explanation(replace(best, regressor=own, less_twins=True), 1.0, STRENGTH, total, points, is_burst=True)


def _can_bring(cause: Cause, calls: Sequence[int], size: float) -> bool:
    rows, page = cause.regressor.counts, cause.regressor.size * (cause.link.edge.per_row or 1.0)
    if cause.less_twins or size < max(LEAST_BURST, LEAST_SHARE_OF_PAGE * page) or page < LEAST_BURST:
        return False
    if cause.link.edge.kind in ("shared", "guess"):
        return False
    # A page that a snapshot cuts may have its rows in one window and its look-ups in the next.
    return all(count <= SLACK * row + page for count, row in zip(calls, rows, strict=True)) and sum(calls) <= sum(rows)


def _share(calls: Sequence[int], cause: Cause, base: Sequence[Term]) -> float:
    return -left_over(calls, [*base, Term(cause.regressor.counts, REST)])
