"""A parameter was changed, and waits for a restart.

**Why it matters.** The configuration says one thing and the server does another. The next restart, perhaps an
unplanned one, changes its behaviour at a bad moment; a wrong value may keep it from starting at all.

**What to do.** Restart at a time of your choosing, or take the change back.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """pg_settings.pending_restart; a role that does not see a parameter does not see that it waits."""
    for row in rows:
        if row.pending_restart:
            yield CHECK.finding(
                row.name,
                f"{row.name} was changed in the configuration and waits for a restart; in force is {row.value}",
                evidence={"value": row.value, "unit": row.unit},
            )


CHECK = Check("PG149", "pending-restart", "warning", "audit_settings", Setting, judge)
