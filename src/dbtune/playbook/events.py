"""What steps and `cache: events:` say of each other: an event that a step sends must be one that is known."""

from __future__ import annotations

from collections.abc import Mapping

from dbtune.cache.rules import Rule
from dbtune.playbook.complaints import Complaints
from dbtune.playbook.outline import Event
from dbtune.playbook.tree import Node, Table
from dbtune.playbook.words import did_you_mean, listed, quoted
from dbtune.steps.invalidate_on import InvalidateOn
from dbtune.steps.step import Step


def check_sent(step: Step, item: Node, events: Mapping[str, Event], complaints: Complaints) -> None:
    """Of a step that sends events: each is known, with every argument that its templates read; more do no harm."""
    if not isinstance(step, InvalidateOn):
        return
    event = events.get(step.event)
    if event is None:
        known = did_you_mean(step.event, events) or (f"; there are {listed(events, 'and')}" if events else "")
        where = "" if known else ": write it under cache: events:"
        message = f"invalidate_on.event: there is no event {quoted(step.event)} in this playbook{known}{where}"
        complaints.add(_place(item, "event").position, message)
        return
    needed = Rule(step.event, event.keys, event.patterns, event.tags).arguments
    missing = [name for name in needed if name not in step.arguments]
    if missing:
        spare = [name for name in step.arguments if name not in needed]
        known = did_you_mean(missing[0], spare)
        message = f"invalidate_on.arguments: {step.event} needs {listed(map(quoted, missing), 'and')}{known}"
        complaints.add(_place(item, "arguments").position, message)


def _place(item: Node, name: str) -> Node:
    """Where that option of the step is written, or the step itself."""
    body = item.get(InvalidateOn.kind) if isinstance(item, Table) else None
    return (body.get(name) if isinstance(body, Table) else None) or body or item
