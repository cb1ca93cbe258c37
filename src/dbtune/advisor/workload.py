"""What the database is asked: statements with their weights, and what was left out, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dbtune.advisor.texts import TRANSACTION, count_parameters, statement_of
from dbtune.baseline.texts import fingerprint

Source = Literal["pg_stat_statements", "file", "sql", "log", "auto_explain", "foreign key"]

MOST_VARIANTS = 5
"""Texts of one statement with different constants that are planned one by one; the weight of others goes to them."""
_SHOWN = 2000
"""Characters of a text that is only reported."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One text that PostgreSQL can plan. `share` is its part of the statement's calls, 0 to 1.

    `label` tells where its values are from: `as written`, `any value` (a generic plan), `common`, `median`, `rare`.
    """

    sql: str
    share: float = 1.0
    label: str = "as written"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the workload, all texts of one fingerprint. `weight` is calls, or what the person gave.

    `time_s` is the time of all calls together, where it was measured. `rows` are those of one call. `queryid` is that
    of pg_stat_statements. `place` is where the person wrote it.
    """

    text: str
    fingerprint: str
    weight: float
    source: Source
    variants: tuple[Variant, ...]
    queryid: str | None = None
    time_s: float | None = None
    rows: float | None = None
    place: str | None = None

    @property
    def has_parameters(self) -> bool:
        return any(count_parameters(variant.sql) for variant in self.variants)


@dataclass(frozen=True, slots=True)
class NotExamined:
    """`query` as far as it is known; `weight` its calls."""

    query: str
    reason: str
    queryid: str | None = None
    weight: float = 1.0
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """The heaviest statement first; the order does not depend on the order of the sources."""

    statements: tuple[Statement, ...]
    not_examined: tuple[NotExamined, ...] = ()

    @property
    def examined_share(self) -> float:
        """Of all calls that could have a plan, 0 to 1: BEGIN and COMMIT are nothing to advise on."""
        seen = sum(one.weight for one in self.statements if one.source != "foreign key")
        whole = seen + sum(one.weight for one in self.not_examined if one.reason != TRANSACTION)
        return seen / whole if whole else 1.0


@dataclass(frozen=True, slots=True)
class Observed:
    """A text as a source has it, before anything is known of it. `text` is None where it may not be read."""

    text: str | None
    source: Source
    weight: float = 1.0
    queryid: str | None = None
    time_s: float | None = None
    rows: float | None = None
    place: str | None = None


def gather(observed: Iterable[Observed], left_out: Iterable[NotExamined] = ()) -> Workload:
    """Every text that can be planned, merged by fingerprint; the others are told with their reasons."""
    groups: dict[str, list[tuple[Observed, str]]] = {}
    refused: list[NotExamined] = list(left_out)
    for one in observed:
        found = statement_of(one.text)
        if found.sql is None:
            shown = (one.text or "").strip()[:_SHOWN]
            refused.append(NotExamined(shown, found.reason, one.queryid or None, one.weight, one.place))
        else:
            groups.setdefault(fingerprint(found.sql), []).append((one, found.sql))
    statements = [_merged(mark, members) for mark, members in groups.items()]
    return Workload(
        tuple(sorted(statements, key=lambda one: (-one.weight, one.fingerprint))),
        tuple(sorted(refused, key=lambda one: (-one.weight, one.reason, one.query))),
    )


def without(workload: Workload, failed: Sequence[tuple[Statement, str]]) -> Workload:
    """The same, where the planner could not make anything of some statements; each with its reason."""
    reasons = {statement.fingerprint: reason for statement, reason in failed}
    kept = tuple(one for one in workload.statements if one.fingerprint not in reasons)
    lost = tuple(
        NotExamined(one.text[:_SHOWN], reasons[one.fingerprint], one.queryid, one.weight, one.place)
        for one in workload.statements
        if one.fingerprint in reasons
    )
    return replace(workload, statements=kept, not_examined=(*workload.not_examined, *lost))


def _merged(mark: str, members: Sequence[tuple[Observed, str]]) -> Statement:
    """The heaviest text stands for all: drivers split a statement by the types of its parameters, people by values."""
    weights: dict[str, float] = {}
    for one, sql in members:
        weights[sql] = weights.get(sql, 0.0) + one.weight
    ordered = sorted(weights, key=lambda sql: (-weights[sql], sql))[:MOST_VARIANTS]
    whole = sum(weights[sql] for sql in ordered)
    first = min(members, key=lambda member: (member[1] != ordered[0], -member[0].weight, member[0].queryid or ""))[0]
    times = [one.time_s for one, _ in members if one.time_s is not None]
    return Statement(
        text=ordered[0],
        fingerprint=mark,
        weight=sum(one.weight for one, _ in members),
        source=first.source,
        variants=tuple(_variant(sql, weights[sql] / whole if whole else 1 / len(ordered)) for sql in ordered),
        queryid=next((one.queryid for one, sql in members if sql == ordered[0] and one.queryid), first.queryid),
        time_s=sum(times) if times else None,
        rows=first.rows,
        place=first.place,
    )


def _variant(sql: str, share: float) -> Variant:
    return Variant(sql, share, "any value" if count_parameters(sql) else "as written")
