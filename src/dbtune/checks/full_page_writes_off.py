"""full_page_writes is off: a crash can leave pages half written.

**Why it matters.** A disk writes 512 or 4096 bytes at once, a page has 8192. The copy of the whole page in the log is
what repairs a page that was torn by a crash; without it such a page stays damaged, silently.

**What to do.** Turn it on. `wal_compression` makes the log smaller; fewer checkpoints (max_wal_size) make it need
fewer whole pages. Only a file system that never tears a page (ZFS) may do without.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """Anything but on."""
    setting = find(rows, "full_page_writes")
    if setting is None:
        yield not_shown(CHECK.code, "full_page_writes")
    elif not setting.is_on:
        yield CHECK.finding(
            "full_page_writes",
            "full_page_writes is off: a crash can leave pages half written, without a way to repair them",
            evidence={"value": setting.value},
            fix=advise("full_page_writes", "on", scope="system"),
        )


CHECK = Check("PG151", "full-page-writes-off", "critical", "audit_settings", Setting, judge)
