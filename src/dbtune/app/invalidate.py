"""Invalidating by event, key, tag or pattern: what a person or a trigger said, as what is to go."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbtune.cache.patterns import checked
from dbtune.cache.rules import Rule, Stale, stale, together
from dbtune.core.errors import Misused
from dbtune.core.identifiers import did_you_mean
from dbtune.core.invalidation import InvalidationReport
from dbtune.core.progress import Progress

if TYPE_CHECKING:
    from dbtune.playbook.model import Playbook

FAILED_EXIT = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """As they were given on the command line; `events` may carry arguments of their own (`"x.changed id=1"`)."""

    events: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Caps of one invalidation: a number of keys, and a share of the keyspace (None: half, for patterns only)."""

    keys: int = 1_000_000
    share: float | None = None


def invalidate(
    url: str, wanted: Wanted, playbook: Playbook | None, bounds: Bounds, progress: Progress, *, dry_run: bool = False
) -> InvalidationReport:
    """Raises Misused before anything is connected to; TargetError; ChangeFailed above the caps. Refusals are rows."""
    what = resolve(wanted, rules(playbook))
    from dbtune.servers.redis.errors import describe_target
    from dbtune.servers.redis.invalidate import Caps, Invalidation
    from dbtune.servers.redis.nodes import opened_nodes

    started_at, clock = datetime.now(UTC), time.monotonic()
    with opened_nodes(url) as nodes:
        invalidation = Invalidation(nodes, Caps(bounds.keys, bounds.share), dry_run=dry_run, progress=progress)
        rows = invalidation.run(what)
    return InvalidationReport(
        target=describe_target(url),
        started_at=started_at,
        duration_s=time.monotonic() - clock,
        steps=rows,
        dry_run=dry_run,
        playbook=playbook.path if playbook else None,
        events=wanted.events,
        keyspace=invalidation.keyspace,
        exit_code=FAILED_EXIT if any(row.failed or row.error for row in rows) else 0,
    )


def rules(playbook: Playbook | None) -> Mapping[str, Rule]:
    """The events of a playbook by their names."""
    events = playbook.events if playbook else ()
    return {event.name: Rule(event.name, event.keys, event.patterns, event.tags) for event in events}


def resolve(wanted: Wanted, known: Mapping[str, Rule]) -> Stale:
    """Everything that was named, as one. Raises Misused for what is unknown, missing, or far too much."""
    shared = _arguments(wanted.arguments)
    if wanted.arguments and not wanted.events:
        raise Misused(f"{wanted.arguments[0]} is an argument of no event", hint="give --event NAME before it")
    parts = [_of_event(text, shared, known) for text in wanted.events]
    try:
        patterns = tuple(checked(os.fsencode(pattern)) for pattern in wanted.patterns)
    except ValueError as error:
        raise Misused(str(error), hint="nothing is ever flushed: name a prefix, such as 'rec:*'") from error
    if not all(wanted.tags):
        raise Misused("--tag is empty", hint="name the tag under which the keys were warmed")
    whole = together([*parts, Stale(tuple(map(os.fsencode, wanted.keys)), patterns, wanted.tags)])
    if not whole and not wanted.events:
        raise Misused("nothing is named", hint="give --event, --key, --tag or --pattern; several are fine")
    return whole


def stale_for(known: Mapping[str, Rule], name: str, arguments: Mapping[str, bytes]) -> Stale:
    """What one event makes stale. Raises Misused for an unknown one, and for arguments that are missing."""
    rule = known.get(name)
    if rule is None:
        raise Misused(f'there is no event "{name}"', hint=did_you_mean(name, known) or _listed(known))
    try:
        return stale(rule, arguments)
    except ValueError as error:
        example = " ".join(f"{argument}=42" for argument in rule.arguments)
        raise Misused(str(error), hint=f"--event {name} {example}") from error


def _of_event(text: str, shared: Mapping[str, bytes], known: Mapping[str, Rule]) -> Stale:
    """`"content.updated"`, or with its own arguments `"content.updated content_id=42"`."""
    if text in known:
        return stale_for(known, text, shared)
    try:
        name, *own = shlex.split(text) or [""]
    except ValueError as error:
        raise Misused(f"--event {text}: {error}", hint="write --event 'content.updated content_id=42'") from error
    return stale_for(known, name, {**shared, **_arguments(own)})


def _arguments(given: Iterable[str]) -> dict[str, bytes]:
    """`["content_id=42"]` → bytes by name; a value may hold any bytes, a name may not be given twice."""
    found: dict[str, bytes] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Misused(f"{text} is no argument of an event", hint="write name=value, such as content_id=42")
        if name in found:
            raise Misused(
                f"{name} is given twice", hint="one invalidation for each, or --event 'NAME id=1' --event 'NAME id=2'"
            )
        found[name] = os.fsencode(value)
    return found


def _listed(known: Sequence[str] | Mapping[str, Rule]) -> str:
    return f"there are {', '.join(sorted(known))}" if known else "a playbook names events under cache: events:"
