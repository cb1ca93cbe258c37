"""Nothing ends a transaction whose client has gone silent.

**Why it matters.** A transaction that stays open holds its locks, and keeps vacuum from removing any row that died
since it began, in all tables. One forgotten session does harm to the whole database.

**What to do.** Set idle_in_transaction_session_timeout to a few minutes, for the database or for the roles of the
application. Know first that no job rightly pauses within a transaction: its session would be ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown

ADVISED = "5min"


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """idle_in_transaction_session_timeout is 0, and so is transaction_timeout where it exists (17)."""
    setting, whole = (find(rows, name) for name in ("idle_in_transaction_session_timeout", "transaction_timeout"))
    if setting is None:
        yield not_shown(CHECK.code, "idle_in_transaction_session_timeout")
    elif setting.number == 0 and (whole is None or whole.number == 0):
        yield CHECK.finding(
            "idle_in_transaction_session_timeout",
            "no limit ends a transaction whose client has gone silent",
            evidence={"value": setting.value},
            fix=advise("idle_in_transaction_session_timeout", ADVISED, scope="database", database=server.database),
        )


CHECK = Check("PG155", "idle-transaction-unbounded", "info", "audit_settings", Setting, judge)
