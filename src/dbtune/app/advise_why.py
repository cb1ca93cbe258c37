"""Why an index is advised: the plans of the statements that it serves, without it and with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dbtune.advisor.advice import Advice, Explanation, Recommendation
from dbtune.advisor.analysis import Analysis
from dbtune.advisor.what_if import WhatIf
from dbtune.advisor.workload import Variant
from dbtune.core.errors import Misused
from dbtune.core.identifiers import did_you_mean, quote

MOST_EXPLAINED = 5
"""Statements whose plans are shown."""


def named(why: str, recommendations: Sequence[Recommendation]) -> str:
    """An advised index by its name, or by its number in the list. Raises Misused where there is none."""
    for number, one in enumerate(recommendations, start=1):
        if why in (one.name, str(number)):
            return one.name
    names = [one.name for one in recommendations]
    hint = did_you_mean(why, names) or (
        f"advised are: {', '.join(f'{number} {name}' for number, name in enumerate(names, start=1))}"
        if names
        else "no index would help these statements enough: leave out --why"
    )
    raise Misused(f"no advised index is called {why}", hint=hint)


def explained(name: str, advice: Advice, analyses: Iterable[Analysis], twin: WhatIf) -> Iterator[Explanation]:
    """The plans beside all other advised indexes and without what can go; none of an index that was left out.

    What it takes the place of would still be there without it.
    """
    wanted = next((one for one in advice.recommendations if one.name == name), None)
    if wanted is None:
        return
    chosen = [one.definition for one in advice.recommendations]
    rest = [one for one in chosen if one != wanted.definition]
    gone = [quote(one.schema, one.name) for one in advice.drops]
    gone_without = [quote(one.schema, one.name) for one in advice.drops if one.replaced_by != name]
    choices = ((rest, gone_without), (chosen, gone))
    variants = {one.statement.text: one.statement.variants for one in analyses}
    for served in wanted.queries[:MOST_EXPLAINED]:
        texts = [one.sql for one in variants[served.query]]
        costs = (twin.costs(texts, active=active, dropped=dropped) for active, dropped in choices)
        gains = [
            (one.share * ((without.total or 0.0) - (now.total or 0.0)), one)
            for one, without, now in zip(variants[served.query], *costs, strict=True)
        ]
        text = _telling(gains).sql
        before, after = (twin.plan(text, active=active, dropped=dropped) for active, dropped in choices)
        yield Explanation(name, text, before, after)


def _telling(gains: Sequence[tuple[float, Variant]]) -> Variant:
    """Of a statement's texts the first that gains most: with some values an index may not be used at all."""
    return max(gains, key=lambda one: one[0])[1]
