"""work_mem has its default of 4 MB.

**Why it matters.** The default suits the smallest machines. Sorts and hashes that need more go through
temporary files.

**What to do.** statement-spill and spill-memory tell which statements spill and what they need. Where nothing spills,
4 MB is right.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.checks.check import Audited, Check, Verdicts
from dbtune.checks.settings import Setting, advise, find, not_shown

USUAL = "16MB"
"""Four times the default: 1.6 GB for 100 sorts at once, which a server of 8 GB can bear."""


def judge(rows: Sequence[Setting], server: Audited) -> Verdicts:
    """At the built-in default."""
    setting = find(rows, "work_mem")
    if setting is None:
        yield not_shown(CHECK.code, "work_mem")
    elif setting.is_default:
        yield CHECK.finding(
            "work_mem",
            f"work_mem has its default of {int(setting.number) >> 10} MB; raise it if statements spill",
            evidence={"value_kb": int(setting.number)},
            fix=advise("work_mem", USUAL, scope="database", database=server.database),
            confidence="heuristic",
        )


CHECK = Check("PG142", "work-mem-default", "info", "audit_settings", Setting, judge)
