"""What `dbtune twin dump` answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbtune.advisor.source import Source


@dataclass(frozen=True, slots=True)
class DumpReport:
    target: str
    started_at: datetime
    duration_s: float
    path: str
    size_bytes: int
    source: Source
