"""autovacuum, or the counters that it needs, is off.

**Why it matters.** Nothing removes dead rows, refreshes the planner's statistics or freezes old rows. Tables and
indexes grow without end, plans get worse, and at last the server refuses writes to prevent a wraparound.

**What to do.** Turn autovacuum and track_counts on. If vacuum disturbs, make it run more often and in smaller
portions (autovacuum_vacuum_scale_factor of the large tables, autovacuum_vacuum_cost_limit), never not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """Autovacuum or track_counts off."""
    for name in ("autovacuum", "track_counts"):
        setting = find(rows, name)
        if setting is None:
            yield not_shown(CHECK.code, name)
        elif not setting.is_on:
            yield CHECK.finding(
                name,
                f"{name} is off: dead rows stay, statistics grow stale, and transaction ids run out",
                evidence={"value": setting.value},
                fix=advise(name, "on", scope="system", safe=True),
            )


CHECK = Check("PG145", "autovacuum-off", "critical", "audit_settings", Setting, judge)
