"""Long waits for locks are not logged.

**Why it matters.** A statement that waited for a lock looks slow for no reason afterwards. With log_lock_waits the
log says who waited for whom, from deadlock_timeout (1 s) on.

**What to do.** Turn it on: it costs nothing as long as nobody waits.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, find, log_more, not_shown


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """Off."""
    setting = find(rows, "log_lock_waits")
    if setting is None:
        yield not_shown(CHECK.code, "log_lock_waits")
    elif not setting.is_on:
        yield CHECK.finding(
            "log_lock_waits",
            "waits for locks are not logged: log_lock_waits is off",
            evidence={"value": setting.value},
            fix=log_more({"lock_waits": True}, "log_lock_waits", "on"),
        )


CHECK = Check("PG148", "lock-wait-log-off", "info", "audit_settings", Setting, judge)
