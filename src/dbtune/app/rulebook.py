"""What `dbtune rule` knows: the checks of `audit`, and what `explain` sees in plans."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from dbtune.checks.check import checks, documentation
from dbtune.core.errors import Misused
from dbtune.core.identifiers import did_you_mean
from dbtune.core.rulebook import Entry, Rulebook
from dbtune.plans.insight import rules

PLANS = "plans (`dbtune explain`)"


def look_up(wanted: str | None = None) -> Rulebook:
    """One by code, in either case, or by name; without it all. Raises Misused for what is neither."""
    started_at, start = datetime.now(UTC), time.monotonic()
    entries = _everything() if wanted is None else (_entry(wanted),)
    return Rulebook(started_at, time.monotonic() - start, entries)


def _everything() -> tuple[Entry, ...]:
    """By source and code."""
    audited = [
        Entry(
            check.code,
            check.name,
            check.severity,
            "Redis and Valkey" if check.source == "redis" else "PostgreSQL",
            documentation(check),
            check.needs,
        )
        for check in checks().values()
    ]
    planned = [Entry(rule.code, rule.name, "varies", PLANS, rule.documentation) for rule in rules().values()]
    return tuple(sorted([*audited, *planned], key=lambda entry: (entry.source == PLANS, entry.code)))


def _entry(wanted: str) -> Entry:
    known = _everything()
    for one in known:
        if wanted.lower() in {one.code.lower(), one.name}:
            return one
    names = {name for one in known for name in (one.code, one.name)}
    raise Misused(f'there is no check "{wanted}"', hint=did_you_mean(wanted, names) or "`dbtune rule` lists all")
