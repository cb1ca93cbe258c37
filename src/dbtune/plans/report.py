"""What `dbtune explain` found out about one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbtune.plans.insight import Insight
from dbtune.plans.plan import Plan


@dataclass(frozen=True, slots=True)
class ExplainReport:
    """`target` is the database, or the file of a saved plan; `notes` say how the plan came about."""

    target: str
    started_at: datetime
    duration_s: float
    statement: str | None
    plan: Plan
    insights: tuple[Insight, ...]
    notes: tuple[str, ...] = ()
