"""What a notification says: which event, with which arguments."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Self

CHANNEL = "dbtune_invalidate"


@dataclass(frozen=True, slots=True)
class Happened:
    """`everything`: the event's arguments are not known, so that whatever they may have been is stale."""

    event: str
    arguments: tuple[tuple[str, str], ...] = ()
    everything: bool = False

    @classmethod
    def parse(cls, payload: str) -> Self:
        """`{"event": "content.updated", "arguments": {"content_id": "42"}}`, or `content.updated content_id=42`.

        An argument that is null is not known. Raises ValueError for anything else.
        """
        if not payload.lstrip().startswith("{"):
            name, *given = shlex.split(payload) or [""]
            pairs = [argument.partition("=") for argument in given]
            if not name or not all(equals for _, equals, _ in pairs):
                raise ValueError(f"{payload!r} is no event: write NAME argument=value")
            return cls(name, tuple((key, value) for key, _, value in pairs))
        found = json.loads(payload)
        arguments = found.get("arguments") or {}
        if not isinstance(found.get("event"), str) or not isinstance(arguments, dict):
            raise ValueError(f"{payload!r} names no event")  # noqa: TRY004 - its text is wrong
        known = ((str(name), _text(value)) for name, value in arguments.items() if value is not None)
        return cls(found["event"], tuple(known), everything=found.get("all") is True)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
