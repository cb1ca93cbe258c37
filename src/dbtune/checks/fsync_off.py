"""fsync is off: a crash of the machine can destroy the whole cluster.

**Why it matters.** Without fsync PostgreSQL does not wait until its log is on disk. After a power failure or a crash
of the operating system, files are in an order that recovery cannot repair. The data are then gone, backups excepted.

**What to do.** Turn it on. If commits are too slow, `synchronous_commit = off` gives most of the speed and risks only
the last fraction of a second of transactions, never the consistency of the files.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """Anything but on."""
    setting = find(rows, "fsync")
    if setting is None:
        yield not_shown(CHECK.code, "fsync")
    elif not setting.is_on:
        yield CHECK.finding(
            "fsync",
            "fsync is off: a crash of the machine can destroy the whole cluster",
            evidence={"value": setting.value},
            fix=advise("fsync", "on", scope="system", safe=True),
        )


CHECK = Check("PG150", "fsync-off", "critical", "audit_settings", Setting, judge)
