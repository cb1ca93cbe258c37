"""How long work tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """`text` says what is going on; `fraction` (0 to 1) how far it is, None where nobody can know."""

    def __call__(self, text: str, fraction: float | None = None) -> None: ...


def silent(text: str, fraction: float | None = None) -> None:
    """For callers that nobody watches."""
