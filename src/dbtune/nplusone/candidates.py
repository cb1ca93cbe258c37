"""Which statements can be asked once per row, and which can have returned those rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from dbtune.nplusone.edges import Edge, Lookup, Schema, edges, lookups
from dbtune.nplusone.shapes import Shape, TableName, Unparsed, shape_of
from dbtune.nplusone.traffic import Statement, Traffic

LEAST_CALLS = 100
"""Fewer look-ups in the window are no evidence and no burden."""
LEAST_ROWS = 10
"""Of a statement that brings others along: requests that each walk a tree, orders that each have items."""
LEAST_ROWS_PER_CALL = 2.0
"""A list has at least two rows; what returns one is followed by look-ups of its own request."""
LEAST_FOR_LOAD = 8
"""Statements; the median of fewer says nothing about the hour."""
MOST_CHILDREN = 400
MOST_PARENTS = 600
"""The busiest ones; beyond them parsing would cost more than a finding is worth."""


MOST_LINKS = 16
"""Parents of one child, declared ones and those with many rows first: sums of them are tried."""
MOST_GUESSED = 60
"""With more parents than these, edges are not guessed from names alone: it would cost more than it finds."""


@dataclass(frozen=True, slots=True)
class Member:
    """A statement with its shape."""

    statement: Statement
    shape: Shape


@dataclass(frozen=True, slots=True)
class Link:
    """A parent and how the child hangs on it."""

    parent: Member
    edge: Edge


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement that may be a child; the best edge to each parent that may be its."""

    child: Member
    lookups: tuple[Lookup, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """The statements worth parsing, parsed. `unparsed` could not be, `left_out` were beyond the bounds.

    `load`: how busy each sub-window was, 1 on average.
    """

    children: tuple[Member, ...]
    parents: tuple[Member, ...]
    all: tuple[Member, ...]
    batches: tuple[Member, ...]
    load: tuple[float, ...]
    unparsed: int
    left_out: int


def members(statements: Sequence[Statement]) -> Members:
    """Parses the busiest statements only."""
    frequent = sorted((one for one in statements if one.total_calls >= LEAST_CALLS), key=lambda one: -one.total_calls)
    fertile = sorted((one for one in statements if one.total_rows >= LEAST_ROWS), key=lambda one: -one.total_rows)
    picked = {id(one): one for one in (*frequent[:MOST_CHILDREN], *fertile[:MOST_PARENTS])}
    parsed: dict[int, Member] = {}
    unparsed = 0
    for key, one in picked.items():
        try:
            shape = shape_of(one.text)
        except Unparsed:
            unparsed += 1
            continue
        if shape is not None:
            parsed[key] = Member(one, shape)
    return Members(
        children=tuple(
            parsed[id(one)] for one in frequent[:MOST_CHILDREN] if id(one) in parsed and _asks_by_key(parsed[id(one)])
        ),
        parents=tuple(
            parsed[id(one)] for one in fertile[:MOST_PARENTS] if id(one) in parsed and _lists(parsed[id(one)])
        ),
        all=tuple(parsed.values()),
        batches=tuple(one for one in parsed.values() if one.shape.verb == "select" and one.shape.listed),
        load=load_of(statements),
        unparsed=unparsed,
        left_out=max(len(frequent) - MOST_CHILDREN, 0),
    )


def load_of(statements: Sequence[Statement]) -> tuple[float, ...]:
    """How busy each sub-window was: the median statement's calls, by its own mean. What has nothing in common but the
    hour goes by this; a loop of thousands of look-ups moves it no more than any other statement does.
    """
    often = [one for one in statements if one.total_calls >= LEAST_CALLS / 5]
    windows = len(statements[0].calls) if statements else 0
    if len(often) < LEAST_FOR_LOAD:
        return (1.0,) * windows
    return tuple(median(one.calls[at] * windows / one.total_calls for one in often) for at in range(windows))


def table_names(statements: Iterable[Statement]) -> tuple[str, ...]:
    """The tables that judged statements name, without schema: what the catalog has to be asked about."""
    found = members(tuple(statements))
    names: set[TableName] = {name for one in found.all for name in one.shape.tables}
    return tuple(sorted({name for _, name in names}))


def candidates(found: Members, extra: Sequence[Member], schema: Schema) -> list[Candidate]:
    """Every child with the parents it can be linked to. `extra` parents return one row, as children themselves."""
    listed = [_candidate(child, (*found.parents, *extra), schema) for child in found.children]
    return [one for one in listed if one is not None]


def readable(traffic: Traffic) -> Schema:
    return Schema(traffic.keys)


def _candidate(child: Member, parents: Sequence[Member], schema: Schema) -> Candidate | None:
    wanted = tuple(lookups(child.shape, schema))
    if not wanted:
        return None
    own = schema.reach(child.shape)
    links: list[Link] = []
    for parent in parents:
        if parent.statement is child.statement or parent.statement.user != child.statement.user:
            continue
        if len(parents) > MOST_GUESSED and not own & schema.reach(parent.shape):
            continue
        possible = list(edges(parent.shape, wanted, schema))
        # A list may refer to one table in several ways (author, reviewer); without a declared one the first will do.
        links += [Link(parent, edge) for edge in possible if edge.is_declared] or [
            Link(parent, e) for e in possible[:1]
        ]
    return Candidate(child, wanted, tuple(sorted(links, key=_by_rows)[:MOST_LINKS]))


def _by_rows(link: Link) -> tuple[bool, int]:
    return not link.edge.is_declared, -link.parent.statement.total_rows


def _asks_by_key(member: Member) -> bool:
    shape = member.shape
    if shape.verb == "insert":
        return shape.values == 1
    return bool(shape.equal) and not shape.listed and not shape.is_locking


def _lists(member: Member) -> bool:
    return member.statement.rows_per_call >= LEAST_ROWS_PER_CALL and not member.shape.skips_locked
