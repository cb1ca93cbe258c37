"""Slow statements are not logged.

**Why it matters.** pg_stat_statements adds calls up and keeps no values. Only the log has the call that took long,
with its values, its time of day and its user, also when it failed.

**What to do.** Log what takes longer than your slow limit. Start higher on a busy server: each line costs a write.
Logs hold the values of statements: guard them like the data (log_parameter_max_length shortens them).
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, find, log_more, not_shown

NAMES = ("log_min_duration_statement", "log_min_duration_sample", "auto_explain.log_min_duration")
"""Each of these catches slow statements; -1 is off. log_min_duration_sample takes a share of them."""


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """None of NAMES is on."""
    if find(rows, NAMES[0]) is None:
        yield not_shown(CHECK.code, NAMES[0])
        return
    settings = [found for found in (find(rows, name) for name in NAMES) if found is not None]
    if any(setting.number >= 0 for setting in settings):
        return
    limit_ms = max(round(server.slow_s * 1000), 1)  # 0 would log every statement
    yield CHECK.finding(
        NAMES[0],
        "slow statements are not logged: log_min_duration_statement is off",
        evidence={setting.name: setting.value for setting in settings},
        fix=log_more({"min_duration": f"{limit_ms}ms"}, NAMES[0], f"{limit_ms}ms"),
    )


CHECK = Check("PG147", "slow-log-off", "warning", "audit_settings", Setting, judge)
