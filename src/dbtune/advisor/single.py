"""The best indexes for one statement: what `explain` shows, and what the cases of the candidates are judged by.

Greedy over the candidates: each round takes what gains most, and of nearly equal ones the smallest; it ends where
nothing gains enough. Weights and writes of a whole workload are the search's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dbtune.advisor.analysis import Analysis
from dbtune.advisor.candidates import Proposal
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.what_if import Candidate, WhatIf

LEAST_GAIN = 0.1
"""Of the cost so far: what gains less is not worth an index."""
LEAST_COST_GAIN = 20.0
"""In the planner's units, of which a page read in sequence is one: a statement that cheap needs nothing."""
NEARLY = 1.25
"""A larger index has to be this much better than a smaller one, or it is not worth its size and its writes."""
NEARLY_COST = 12.0
"""Three random pages: nobody notices them."""
PARTIAL_SIZE = 12.0
"""How much smaller a partial index has to be: it serves this statement and few others."""
MOST_INDEXES = 4
_EACH_COLUMN = 4096
"""A wider index has to be worth it even where both would fit into the same few pages."""


@dataclass(frozen=True, slots=True)
class Best:
    """`indexes` in the order of their gain, each with its proposal; costs are the planner's, over all variants."""

    indexes: tuple[Proposal, ...]
    cost_before: float
    cost_after: float


Choice = tuple[IndexDefinition, ...]


def best_indexes(analysis: Analysis, what_if: WhatIf, most: int = MOST_INDEXES) -> Best:
    """Empty where no index is the answer."""
    proposals = {one.definition: one for one in analysis.proposals.single}
    for bundle in analysis.proposals.bundles:
        for one in bundle:
            proposals.setdefault(one, Proposal(one, "an arm of an OR"))
    known = {one.definition: one for one in what_if.add(tuple(proposals))}
    singles: list[Choice] = [(one,) for one in proposals if known[one].size_bytes is not None]
    bundles = [one for one in analysis.proposals.bundles if all(known[each].size_bytes is not None for each in one)]
    choices = [*singles, *(one for one in bundles if len(one) > 1)]
    before = cost = _cost(analysis, what_if, ())
    chosen: Choice = ()
    while len(chosen) < most:
        better = _round(analysis, what_if, chosen, cost, (choices, known))
        if better is None:
            break
        chosen, cost = better
    kept = _needed(analysis, what_if, chosen, cost)
    return Best(tuple(_labelled(proposals[one], known[one]) for one in kept), before, _cost(analysis, what_if, kept))


def _round(
    analysis: Analysis,
    what_if: WhatIf,
    chosen: Choice,
    cost: float,
    given: tuple[Sequence[Choice], Mapping[IndexDefinition, Candidate]],
) -> tuple[Choice, float] | None:
    choices, known = given
    tried = [
        (_cost(analysis, what_if, (*chosen, *choice)), choice) for choice in choices if not set(choice) <= set(chosen)
    ]
    enough = [one for one in tried if cost - one[0] > max(LEAST_GAIN * cost, LEAST_COST_GAIN)]
    if not enough:
        return None
    least = min(found for found, _ in enough)
    near = [one for one in enough if one[0] <= least * NEARLY + min(NEARLY_COST, (cost - least) / 3)]
    found, choice = min(near, key=lambda one: (_steps(_size(one[1], known)), len(_included(one[1])), one[0], one[1]))
    return (*chosen, *choice), found


def _needed(analysis: Analysis, what_if: WhatIf, chosen: Choice, cost: float) -> Choice:
    """Without those that a later one has made superfluous."""
    kept = chosen
    for one in chosen:
        rest = tuple(other for other in kept if other != one)
        if rest and _cost(analysis, what_if, rest) <= cost * 1.02 + 1:
            kept = rest
    return kept


def _cost(analysis: Analysis, what_if: WhatIf, active: Iterable[IndexDefinition]) -> float:
    """Over the variants, each with its share; one that cannot be planned weighs nothing, before as after."""
    variants = analysis.statement.variants
    costs = what_if.costs([one.sql for one in variants], tuple(active))
    return sum(one.share * found.total for one, found in zip(variants, costs, strict=True) if found.total is not None)


def _size(choice: Choice, known: Mapping[IndexDefinition, Candidate]) -> float:
    return sum(
        ((known[one].size_bytes or 0) + _EACH_COLUMN * (len(one.keys) + len(one.include)))
        * (1.0 if one.where is None else PARTIAL_SIZE)
        for one in choice
    )


def _steps(size_bytes: float) -> int:
    """Sizes that differ by a twentieth are the same: estimates are not better than that."""
    return round(math.log(max(size_bytes, 1.0), 1.1))


def _included(choice: Choice) -> list[str]:
    """A column among the keys serves more statements than one in INCLUDE."""
    return [name for one in choice for name in one.include]


def _labelled(proposal: Proposal, candidate: Candidate) -> Proposal:
    if candidate.heuristic and proposal.confidence == "simulated":
        return Proposal(proposal.definition, proposal.why, "heuristic")
    return proposal
