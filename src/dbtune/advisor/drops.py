"""Existing indexes that nothing would miss: doubled, covered by another, or unused; each drop is simulated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dbtune.advisor.advice import Drop
from dbtune.advisor.existing import covers
from dbtune.advisor.index import IndexDefinition
from dbtune.advisor.source import Source
from dbtune.advisor.states import State, States
from dbtune.advisor.trifles import NOTICED
from dbtune.advisor.what_if import ExistingIndex
from dbtune.core.identifiers import quote

LEAST_AGE_DAYS = 30
"""Counters younger than a month have not seen the month's end (field practice; PgHero asks for none)."""
NOTICEABLE = 0.001
"""A drop must not make the workload dearer by more than this share."""


@dataclass(frozen=True, slots=True)
class _Reason:
    text: str
    replaced_by: str | None = None
    is_proven: bool = True

    @property
    def is_covered(self) -> bool:
        return self.replaced_by is not None


@dataclass(frozen=True, slots=True)
class Present:
    """What there is, and what will be: the chosen indexes with their names."""

    existing: Sequence[ExistingIndex]
    chosen: Mapping[IndexDefinition, str]
    source: Source


def find_drops(states: States, state: State, present: Present) -> tuple[tuple[Drop, ...], State]:
    """The largest first; each is judged with those before it gone."""
    drops: list[Drop] = []
    left = list(present.existing)
    for index in sorted(present.existing, key=lambda one: (-one.size_bytes, one.schema, one.name)):
        if not index.is_droppable or index.parent is not None:
            continue
        reason = _covered(index, left, present.chosen) or _unused(index, present.source)
        if reason is None:
            continue
        after = states.step(state, remove=states.prices.bit(quote(index.schema, index.name)))
        if after.total > state.total * (1 + NOTICEABLE) and not (reason.is_covered and _is_unnoticed(state, after)):
            continue
        state = after
        left.remove(index)
        drops.append(_drop(index, reason, present.source))
    return tuple(drops), state


def _is_unnoticed(before: State, after: State) -> bool:
    """Whether no call pays more than a few pages: what takes the place of an index is seldom as small as it is."""
    return all(
        max(new.felt - old.felt, new.cost - old.cost) < NOTICED
        for old, new in zip(before.prices, after.prices, strict=True)
    )


def _drop(index: ExistingIndex, reason: _Reason, source: Source) -> Drop:
    """PostgreSQL drops a partitioned index, its parts with it, only under a lock."""
    table = source.by_name.get((index.schema, index.table))
    how = "drop index" if table is not None and table.kind == "p" else "drop index concurrently"
    return Drop(
        index.schema,
        index.name,
        index.table,
        f"{how} {quote(index.schema, index.name)}",
        index.size_bytes,
        reason.text,
        "simulated" if reason.is_proven else "heuristic",
        reason.replaced_by,
    )


def _covered(
    index: ExistingIndex, left: Iterable[ExistingIndex], chosen: Mapping[IndexDefinition, str]
) -> _Reason | None:
    if index.definition is None:
        return None
    for definition, name in sorted(chosen.items()):
        if covers(definition, index.definition):
            return _Reason(f"the advised {name} does all that it does", name)
    for other in left:
        if other is index or other.definition is None or not covers(other.definition, index.definition):
            continue
        is_same = covers(index.definition, other.definition)
        if not is_same or _stays(other, index):
            return _Reason(f"{other.name} {'is the same' if is_same else 'does all that it does'}", other.name)
    return None


def _stays(one: ExistingIndex, other: ExistingIndex) -> bool:
    """Of two equal indexes: the one that cannot go, else the one that is used more, else the first by name."""
    return (one.is_droppable, -(one.scans or 0), one.name) < (other.is_droppable, -(other.scans or 0), other.name)


def _unused(index: ExistingIndex, source: Source) -> _Reason | None:
    if index.scans != 0 or source.statistics_since is None:
        return None
    age = datetime.fromisoformat(source.taken_at) - datetime.fromisoformat(source.statistics_since)
    if age.days < LEAST_AGE_DAYS:
        return None
    text = f"not used once in {age.days} days, nor by any statement of this workload"
    if source.standbys:
        return _Reason(f"{text}; there are {source.standbys} standbys, which count by themselves", is_proven=False)
    return _Reason(text, is_proven=source.standbys == 0)
