"""A save to disk that failed.

**Why it matters.** After a restart everything since the last good save is gone. And with
`stop-writes-on-bgsave-error`, which is the default, the server refuses all writes until a save succeeds.

**What to do.** The server's log has the reason: a full or read-only disk, rights on the directory, no memory to fork
(`vm.overcommit_memory=1`). Mend it, then BGSAVE or BGREWRITEAOF. A pure cache may go without: `CONFIG SET save ""`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.cache_survey import CacheSurvey, Unseen
from dbtune.checks.check import Audited, Check, Verdicts

STATUSES = {
    "rdb_last_bgsave_status": "the last snapshot (RDB)",
    "aof_last_write_status": "the last write to the append-only file",
    "aof_last_bgrewrite_status": "the last rewrite of the append-only file",
}


def judge(rows: Sequence[CacheSurvey], server: Audited) -> Verdicts:
    """Every status that INFO does not call ok."""
    for survey in rows:
        info = survey.info
        if isinstance(info, Unseen):
            yield info.for_check(CHECK.code)
            continue
        for name, words in STATUSES.items():
            if info.text(name) not in {"", "ok"}:
                unsaved = info.number("rdb_changes_since_last_save")
                yield CHECK.finding(
                    survey.target,
                    f"{words} failed; {unsaved:,.0f} changes since the last good snapshot",
                    evidence={name: info.text(name), "changes_since_last_save": unsaved},
                )


CHECK = Check("RD015", "cache-persistence-failing", "critical", "cache_survey", CacheSurvey, judge, source="redis")
