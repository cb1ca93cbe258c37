"""Statements may run without end: statement_timeout is 0.

**Why it matters.** A statement that nobody waits for any more goes on, takes a connection and memory, and keeps
vacuum from cleaning up.

**What to do.** Set statement_timeout for the role of the application (a limit somewhat above that of its requests),
not for the whole server: backups, migrations and reports need longer.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, find, not_shown
from dbtune.core.findings import Fix


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """0 for this role in this database; other roles may have values of their own."""
    setting = find(rows, "statement_timeout")
    if setting is None:
        yield not_shown(CHECK.code, "statement_timeout")
    elif setting.number == 0:
        yield CHECK.finding(
            "statement_timeout",
            f"statements of {server.user} in {server.database} may run without end",
            evidence={"value": setting.value},
            fix=Fix(sql=("alter role application set statement_timeout = '30s'; -- the role of your application",)),
        )


CHECK = Check("PG156", "statement-timeout-unset", "info", "audit_settings", Setting, judge)
