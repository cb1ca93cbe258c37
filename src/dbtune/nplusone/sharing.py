"""One list behind several look-ups: endpoints that read the same list and each look up something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from dbtune.nplusone.candidates import Candidate
from dbtune.nplusone.explain import EXACT, FIRM, Cause, Explanation
from dbtune.nplusone.fit import Regressor, strength_of

MOST_CHILDREN = 8
MOST_TOGETHER = 3


def shared_lists(listed: Sequence[Candidate], possible: Mapping[int, Sequence[Cause]]) -> dict[int, Explanation]:
    """Children, none of which has as many calls as the list has rows, but whose calls add up to its rows.

    By the identity of the child's statement.
    """
    by_parent: defaultdict[tuple[int, bool], list[tuple[Candidate, Cause]]] = defaultdict(list)
    for candidate in listed:
        for cause in possible.get(id(candidate.child.statement), ()):
            if cause.link.edge.is_declared and not cause.less_twins:
                by_parent[id(cause.link.parent), cause.less_twins].append((candidate, cause))
    found: dict[int, Explanation] = {}
    for members in by_parent.values():
        for size in range(2, MOST_TOGETHER + 1):
            for group in combinations(members[:MOST_CHILDREN], size):
                strength = _adds_up(group)
                if strength is not None:
                    for candidate, cause in group:
                        key = id(candidate.child.statement)
                        found.setdefault(key, _explanation(candidate, cause, strength))
    return found


def _adds_up(group: Sequence[tuple[Candidate, Cause]]) -> float | None:
    """How exactly the calls add up to the rows, None where they do not."""
    rows = group[0][1].regressor
    parts = [Regressor(tuple(map(float, candidate.child.statement.calls)), rows.size) for candidate, _ in group]
    total = sum(sum(part.counts) for part in parts)
    if abs(total / max(sum(rows.counts), 1.0) - 1.0) > EXACT:
        return None
    strength = strength_of(rows.counts, parts, (1.0,) * len(parts)).strength
    return strength if strength is not None and strength >= FIRM else None


def _explanation(candidate: Candidate, cause: Cause, strength: float) -> Explanation:
    """The share of the parent's calls that this child follows is what counts as its cause."""
    calls = candidate.child.statement.total_calls
    share = calls / max(sum(cause.regressor.counts), 1.0)
    own = Regressor(tuple(count * share for count in cause.regressor.counts), cause.regressor.size)
    return Explanation(replace(cause, regressor=own, less_twins=True), 1.0, strength, float(calls), 25.0)
