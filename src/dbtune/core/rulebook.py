"""The documentation of everything that dbtune can find, whoever looks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One code. `severity` is the usual one or "varies", `source` who is asked, `needs` an extension that it takes.

    `text` is Markdown: what it is in the first paragraph, then why it matters, then what to do.
    """

    code: str
    name: str
    severity: str
    source: str
    text: str
    needs: str | None = None

    @property
    def what(self) -> str:
        return " ".join(self.text.partition("\n\n")[0].split())


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every entry, or the one that was asked for."""

    started_at: datetime
    duration_s: float
    entries: tuple[Entry, ...]
