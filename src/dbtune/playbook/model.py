"""A playbook as the rest of dbtune sees it: checked, rendered, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dbtune.steps.step import Step


@dataclass(frozen=True, slots=True)
class Position:
    """Counts from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class PlaybookStep:
    """One step: what is common to every kind, and `step`, what is particular.

    `id` is unique in the playbook; `enabled` is the outcome of `when`; `timeout_s` bounds its work (None: no bound);
    `hash` changes when anything that the step would do changes.
    """

    id: str
    name: str
    kind: str
    step: Step
    position: Position
    hash: str
    tags: tuple[str, ...] = ()
    enabled: bool = True
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """What an event makes stale: keys and glob patterns with `{field}` placeholders, and tags."""

    name: str
    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Playbook:
    """`hash` covers the rendered content: variables and environment included."""

    path: str
    name: str
    hash: str
    steps: tuple[PlaybookStep, ...]
    vars: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    events: tuple[CacheEvent, ...] = ()
